"""The context as it is stored: compact JSON text, nothing denied in it, unknown fields of the event under `_unknown`.

In: the bytes of the context's JSON value and the unknown fields. Out: the text, or a Complaint (wrong_type, too_deep,
too_large, out_of_range). A context that suspicious_context() does not match is stored as it came, minus whitespace:
that is the rule of both paths, so that both store the same bytes.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from ingest.contracts.denial import suspicious_context
from ingest.contracts.outcome import EventLimits
from ingest.contracts.privacy import DECODER, scrub_value
from ingest.contracts.values import Complaint, shape

UNKNOWN_KEY: Final = "_unknown"
_UNKNOWN_IN_TEXT: Final = b'"_unknown"'


@lru_cache(maxsize=32)
def _suspicious(depth: int) -> re.Pattern[bytes]:
    return re.compile(suspicious_context(depth).encode())


def nests_deeper(value: object, levels: int) -> bool:
    """Whether a value has more than so many levels of objects and arrays; a scalar has none."""
    if not isinstance(value, dict | list):
        return False
    if levels <= 0:
        return True
    return any(nests_deeper(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))


def settle_context(raw: bytes, limits: EventLimits, dropped: dict[str, int]) -> str:
    """The text to store for a context without unknown fields; raises Complaint. `dropped` counts what was taken out."""
    return _own_text(raw, limits, dropped).decode()


def settle_with_unknown(
    raw: bytes | None, unknown: Mapping[str, object], limits: EventLimits, dropped: dict[str, int]
) -> str:
    """The same with unknown fields (already scrubbed and bounded) added under `_unknown`."""
    own = b"{}" if raw is None else _own_text(raw, limits, dropped)
    if _UNKNOWN_IN_TEXT in own:  # the producer used our key: its entries stay, under those that are unknown fields
        theirs = DECODER.decode(own)
        before = theirs.get(UNKNOWN_KEY, {})
        merged = before if isinstance(before, dict) else {UNKNOWN_KEY: before}
        return msgspec.json.encode({**theirs, UNKNOWN_KEY: {**merged, **unknown}}).decode()
    added = b'"_unknown":' + msgspec.json.encode(unknown) + b"}"
    return (own[:-1] + (b"," if len(own) > 2 else b"") + added).decode()


def _own_text(raw: bytes, limits: EventLimits, dropped: dict[str, int]) -> bytes:
    if raw[:1] != b"{":
        raise Complaint("wrong_type", "an object", _shape_of(raw))
    try:
        text = msgspec.json.format(raw, indent=-1)
    except RecursionError:
        raise Complaint("too_deep", f"at most {limits.context_depth} levels of nesting", "more") from None
    text = _clean(text, limits, dropped)
    if len(text) > limits.context_bytes:
        raise Complaint("too_large", f"at most {limits.context_bytes} bytes", f"{len(text)}")
    return text


def _clean(text: bytes, limits: EventLimits, dropped: dict[str, int]) -> bytes:
    """`text` as it is where suspicious_context() does not match, else what scrub_value leaves of it, written anew.

    Python's `re` takes 0.3 ms for that question, so it is asked only where writing anew alone would change the text
    (escapes, duplicate keys, -0); everywhere else both branches give the same bytes.
    """
    try:
        value = parse(text)
    except Complaint:
        if _suspicious(limits.context_depth).search(text):
            raise
        return text
    if msgspec.json.encode(value) != text and not _suspicious(limits.context_depth).search(text):
        return text
    if nests_deeper(value, limits.context_depth):
        raise Complaint("too_deep", f"at most {limits.context_depth} levels of nesting", "more")
    return msgspec.json.encode(scrub_value(value, dropped))


def parse(raw: bytes | msgspec.Raw) -> object:
    """One JSON value that is known to be well formed; raises Complaint for what Python cannot hold."""
    try:
        return DECODER.decode(raw)
    except RecursionError:
        raise Complaint("too_deep", "a shallow value", "one that nests too deep to read") from None
    except msgspec.MsgspecError:
        raise Complaint("out_of_range", "numbers of at most 4300 digits", "a longer one") from None


def _shape_of(raw: bytes) -> str:
    try:
        return shape(DECODER.decode(raw))
    except (msgspec.MsgspecError, RecursionError):
        return "another JSON value"
