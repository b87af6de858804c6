"""Rule 8 of ingest/contracts/check.py for the contexts of many events, asked once for each different one.

In: contexts as they stand in the messages. Out: the text to store, or None where the careful path decides. Short ones
that fit are remembered over batches, up to a bound: producers send few different ones, and only to compile the pattern
takes 6 ms, as long as decoding a thousand events. Threads may share one.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts.denial import suspicious_context
from ingest.contracts.outcome import EventLimits

MOST_REMEMBERED: Final = 16_384
_LONGEST_REMEMBERED: Final = 256
_WHITE: Final = " \n\t\r"


class Contexts:
    """Knows the contexts that fit these limits."""

    def __init__(self, limits: EventLimits) -> None:
        self._limits = limits
        self._pattern = suspicious_context(limits.context_depth)
        self._known: dict[bytes, str] = {}

    def settle(self, raws: Sequence[bytes]) -> list[str | None]:
        """For each its compact JSON text, '' where it is missing; None where it misses the rule."""
        texts: list[str | None] = [self._known.get(raw) for raw in raws]
        fresh = [index for index, text in enumerate(texts) if text is None]
        if fresh:
            for index, text in zip(fresh, self._judge([raws[index] for index in fresh]), strict=True):
                texts[index] = text
                if text is not None and len(raws[index]) <= _LONGEST_REMEMBERED:
                    self._remember(raws[index], text)
        return texts

    def _remember(self, raw: bytes, text: str) -> None:
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[raw] = text

    def _judge(self, raws: list[bytes]) -> list[str | None]:
        texts = [_compact(raw) for raw in raws]
        column = pa.array([text or "" for text in texts], pa.string())
        is_odd = pc.or_(
            pc.or_(
                pc.invert(pc.starts_with(column, "{")),
                pc.greater(pc.binary_length(column), self._limits.context_bytes),
            ),
            pc.match_substring_regex(column, self._pattern),
        )
        return [None if text and odd else text for text, odd in zip(texts, is_odd.to_pylist(), strict=True)]


def _compact(raw: bytes) -> str | None:
    """The text without insignificant whitespace; '' where it is missing, None where it is not UTF-8."""
    if raw in (b"", b"null"):
        return ""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return msgspec.json.format(text, indent=-1) if any(mark in text for mark in _WHITE) else text
