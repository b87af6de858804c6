"""Random draws that give the same bytes on every machine.

Only Philox's raw words are taken from numpy (their stream is kept stable across versions, that of numpy's
distributions is not), and everything after them is integer arithmetic on tables: no draw depends on a CPU's exp() or
on its vector width.
"""

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

QUANTILES = 1 << 14
"""Points of a distribution's table: the farthest lies at 4 standard deviations."""
FIXED_POINT = 10
"""Bits behind the point in a lognormal factor."""
_BLOCK = 1 << 16
_MASK = (1 << 64) - 1


def mix(*parts: int) -> int:
    """One 64-bit word from several integers (splitmix64); the same on every machine, unlike hash()."""
    word = 0x9E3779B97F4A7C15
    for part in parts:
        word = (word ^ (part & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        word = (word ^ word >> 27) * 0x94D049BB133111EB & _MASK
        word ^= word >> 31
    return word


def mix_words(salt: int, words: Words) -> Words:
    """splitmix64 of each word under a salt: a bijection, so distinct numbers give distinct words. Shape as given."""
    mixed = (words + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return mixed ^ mixed >> np.uint64(31)


@cache
def lognormal_factors(sigma: float) -> Ints:
    """Quantiles of a lognormal with median 1, times 2**FIXED_POINT, shape (QUANTILES,)."""
    normal = NormalDist()
    quantiles = (normal.inv_cdf((index + 0.5) / QUANTILES) for index in range(QUANTILES))
    return np.array([round(math.exp(sigma * z) * (1 << FIXED_POINT)) for z in quantiles], dtype=np.int64)


def weighted_table(weights: Sequence[float], size: int) -> Ints:
    """Indices of `weights`, each as often among `size` entries as its share says (largest remainder)."""
    total = math.fsum(weights)
    exact = [weight / total * size for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda index: (counts[index] - exact[index], index))
    for index in by_remainder[: size - sum(counts)]:
        counts[index] += 1
    return np.repeat(np.arange(len(weights), dtype=np.int64), counts)


class Draws:
    """One independent stream of draws, named by integers (seed, purpose, part)."""

    def __init__(self, *name: int) -> None:
        self._source = np.random.Philox(key=np.array([mix(*name), mix(1, *name)], dtype=np.uint64))
        self._block = np.empty(0, dtype="<u2")
        self._at = 0

    def u16(self, count: int) -> Ints:
        """`count` integers in [0, 65536)."""
        if self._at + count > len(self._block):
            words = self._source.random_raw((max(count, _BLOCK) + 3) // 4)
            self._block = np.asarray(words).astype("<u8").view("<u2")
            self._at = 0
        taken = self._block[self._at : self._at + count]
        self._at += count
        return taken.astype(np.int64)

    def u32(self, count: int) -> Ints:
        """`count` integers in [0, 2**32)."""
        halves = self.u16(2 * count)
        return halves[0::2] << 16 | halves[1::2]

    def below(self, bound: int, count: int) -> Ints:
        """`count` integers in [0, bound), bound up to 2**31."""
        drawn: Ints = self.u32(count) * bound >> 32
        return drawn

    def chance(self, probability: float | Ints, count: int) -> Bools:
        """True with the probability given; an array of probabilities is in units of 2**-32."""
        threshold = round(probability * (1 << 32)) if isinstance(probability, float) else probability
        happens: Bools = self.u32(count) < threshold
        return happens

    def pick(self, table: Ints, count: int) -> Ints:
        """Entries of a table made by `weighted_table`; its length is a power of two up to 65536."""
        picked: Ints = table[self.u16(count) & (len(table) - 1)]
        return picked

    def lognormal(self, median: Ints | int, sigma: float, count: int) -> Ints:
        """Integers with the median given and a lognormal spread."""
        drawn: Ints = median * lognormal_factors(sigma)[self.u16(count) >> 2] >> FIXED_POINT
        return drawn

    def one(self, bound: int) -> int:
        """A single integer in [0, bound)."""
        return int(self.below(bound, 1)[0])
