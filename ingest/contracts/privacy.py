"""What never lands: content, direct identifiers and secrets, found by the names of attributes and by e-mail addresses.

In: parsed JSON values (scrub_value) or the bytes of a dead letter (scrub_payload). Out: the same without them, and how
often which rule hit, by the rule's name. Nothing here raises. denied_names.py says what is denied, SUSPICIOUS_CONTEXT
which contexts need not be looked at.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from ingest.contracts.denial import (
    DROPPED,
    MASKED_EMAIL,
    NAMING_KEYS,
    SUSPICIOUS_CONTEXT,
    SUSPICIOUS_STRING,
    Rule,
    count,
    denied,
    mask_emails,
    suspicious,
    suspicious_context,
)
from ingest.contracts.fields import RAW_IDENTIFIER_FIELDS
from ingest.contracts.garbled import scrub_garbled, scrub_text

__all__ = [
    "DROPPED",
    "MASKED_EMAIL",
    "SUSPICIOUS_CONTEXT",
    "SUSPICIOUS_STRING",
    "denied",
    "mask_emails",
    "scrub_payload",
    "scrub_value",
    "suspicious",
    "suspicious_context",
]

MAX_SCRUB_DEPTH: Final = 64

DECODER: Final = msgspec.json.Decoder(float_hook=lambda text: msgspec.Raw(text.encode()))
"""JSON to Python with every fraction kept as the text it came as, so that writing it back changes no number."""


def scrub_value(value: object, counts: dict[str, int], *, keep_keys: bool = False, depth: int = 0) -> object:
    """A JSON value without denied attributes, e-mails masked. `keep_keys`: the key stays with the value `[dropped]`.

    Strings that are themselves JSON are scrubbed within. What nests deeper than MAX_SCRUB_DEPTH becomes `[dropped]`.
    """
    if isinstance(value, str):
        return _scrub_string(value, counts, depth)
    if not isinstance(value, dict | list):
        return value
    if depth >= MAX_SCRUB_DEPTH:
        count(counts, "too_deep")
        return DROPPED
    if isinstance(value, list):
        return [scrub_value(item, counts, keep_keys=keep_keys, depth=depth + 1) for item in value]
    return _scrub_object(value, counts, keep_keys, depth)


def _scrub_object(
    value: Mapping[str, object], counts: dict[str, int], keep_keys: bool, depth: int
) -> dict[str, object]:
    kept: dict[str, object] = {}
    named = next((name for key in NAMING_KEYS if isinstance(name := value.get(key), str)), None)
    for key, item in value.items():
        if mask_emails(key, counts) != key:  # a key that is an identifier: there is no name to keep the value under
            continue
        rule = denied(named) if named is not None and key == "value" else denied(key)
        if rule is None or may_stay(rule[0], item):
            kept[key] = scrub_value(item, counts, keep_keys=keep_keys, depth=depth + 1)
        elif keep_keys:
            if item != DROPPED:
                count(counts, rule[1])
            kept[key] = DROPPED
        else:
            count(counts, rule[1])
    return kept


def may_stay(rule: Rule, value: object) -> bool:
    """A measure under a content name (`{"usage": {"input": 12}}`) holds no content; null holds nothing."""
    return value is None or (rule == "content" and not isinstance(value, str | dict | list))


def _scrub_string(text: str, counts: dict[str, int], depth: int) -> str:
    masked = mask_emails(text, counts)
    if masked.lstrip(" ")[:1] not in ("{", "["):
        return masked
    try:
        return _rewritten(masked.encode(), counts, depth + 1).decode()
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return scrub_text(masked, counts)


def _rewritten(text: bytes, counts: dict[str, int], depth: int) -> bytes:
    """JSON text scrubbed; the very bytes where nothing is denied. Duplicate keys, where content could hide, are merged.

    Raises what the decoder raises.
    """
    value = DECODER.decode(text)
    clean = scrub_value(value, counts, keep_keys=True, depth=depth)
    if depth == 0 and isinstance(clean, dict):
        clean = {key: _hide_raw_identifier(key, item, counts) for key, item in clean.items()}
    written = msgspec.json.encode(clean)
    return text if written == msgspec.json.format(text, indent=-1) else written


def scrub_payload(payload: bytes) -> tuple[bytes, dict[str, int]]:
    """A dead letter's payload without what must not land, and how often which rule hit. Idempotent.

    JSON keeps its keys, with `[dropped]` for a denied value; where nothing is denied the bytes stay as they came. What
    does not parse is scrubbed by its look: a denied name before `:` or `=` costs the value that follows, up to the end
    of the payload where the value's end is in doubt.
    """
    counts: dict[str, int] = {}
    current = payload
    for _ in range(8):
        scrubbed = _scrub_once(current, counts)
        if scrubbed == current:
            return current, counts
        current = scrubbed
    count(counts, "payload")
    return f'"{DROPPED}"'.encode(), counts


def _scrub_once(payload: bytes, counts: dict[str, int]) -> bytes:
    try:
        payload.decode()
        return _rewritten(payload, counts, 0)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return scrub_garbled(payload, counts)


def _hide_raw_identifier(key: str, value: object, counts: dict[str, int]) -> object:
    if key in RAW_IDENTIFIER_FIELDS and isinstance(value, str) and "@" in value:
        count(counts, key)
        return DROPPED
    return value
