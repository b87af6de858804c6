"""HMAC-SHA256 signatures of a request: made, checked, and seen once.

In: the timestamp as it is sent (epoch seconds, a fraction allowed), the body as it is sent (compressed or not), a
secret. Out: lower-case hexadecimal digits of HMAC-SHA256(secret, timestamp + "." + body). A signature is good within
the window around the clock, and once: those seen are remembered as long as the window could let them in again.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Sequence
from typing import Final

from ingest.api.refusal import Refusal, overloaded

_TIMESTAMP = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?").fullmatch
_HEX = re.compile(r"[0-9a-fA-F]{64}").fullmatch
_PREFIXES: Final = ("sha256=", "v1=")
_SLOT_S: Final = 30.0


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature."""
    return hmac.digest(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hex()


def is_signed(secrets: Sequence[str], timestamp: str, body: bytes, digest: bytes) -> bool:
    """Whether one of the secrets made `digest`; takes as long whichever it is."""
    message = timestamp.encode() + b"." + body
    matches = [hmac.compare_digest(hmac.digest(secret.encode(), message, hashlib.sha256), digest) for secret in secrets]
    return any(matches)


def read_signature(text: str) -> bytes | None:
    """The digest's 32 bytes of a signature as it is sent; None for anything else."""
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return bytes.fromhex(text) if _HEX(text) else None


def read_timestamp(text: str) -> float | None:
    """Epoch seconds; None for anything else."""
    return float(text) if _TIMESTAMP(text) else None


class SeenSignatures:
    """Which signatures were used, in bounded memory: some 120 bytes each, at most `most`.

    They are kept by the time they name, so what the window refuses anyway is forgotten exactly then.
    """

    def __init__(self, window_s: float, most: int) -> None:
        self._window_s = window_s
        self._most = most
        self._slots: dict[int, set[bytes]] = {}
        self._newest_forgotten = -1
        self.count = 0

    def check_window(self, signed_at_s: float, now_s: float) -> None:
        """Raises Refusal for a time too far from the clock."""
        if abs(now_s - signed_at_s) > self._window_s:
            raise Refusal(
                401,
                "timestamp_outside_window",
                f"The timestamp is {now_s - signed_at_s:.0f} s behind this server's clock; at most "
                f"{self._window_s:g} s either way are allowed. Sign anew, with the time in epoch seconds.",
            )

    def use(self, digest: bytes, signed_at_s: float, now_s: float) -> None:
        """Remembers it. Raises Refusal: outside the window, used before, or too many to remember."""
        self.check_window(signed_at_s, now_s)
        self.forget(now_s)
        slot = self._slots.setdefault(math.floor(signed_at_s / _SLOT_S), set())
        short = digest[:16]
        if short in slot:
            raise Refusal(
                409, "replayed", "This signature was used before. Sign each attempt anew, with the time it is sent."
            )
        if self.count >= self._most:
            raise overloaded("replay_memory_full", "Too many requests within the signatures' window.", _SLOT_S)
        slot.add(short)
        self.count += 1

    def take_back(self, digest: bytes, signed_at_s: float) -> None:
        """Forgets a signature whose request was not acknowledged, so that the same one may be sent again."""
        slot = self._slots.get(math.floor(signed_at_s / _SLOT_S))
        if slot is not None and digest[:16] in slot:
            slot.discard(digest[:16])
            self.count -= 1

    def forget(self, now_s: float) -> None:
        """Drops what the window refuses by now."""
        oldest = math.floor((now_s - self._window_s) / _SLOT_S)
        if oldest == self._newest_forgotten:
            return
        self._newest_forgotten = oldest
        for number in [number for number in self._slots if number < oldest]:
            self.count -= len(self._slots.pop(number))
