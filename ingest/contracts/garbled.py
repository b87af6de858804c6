"""Scrubs text that is not JSON (truncated, mis-quoted, another encoding) by its look, in linear time.

In: the bytes of a message that did not parse. Out: the same with `"[dropped]"` in place of what follows a denied name
and `:` or `=`. Where the end of such a value is in doubt (an unescaped quote, no closing bracket) everything up to the
end of the payload goes: a lost remainder of a broken message is cheaper than a prompt in a table. Never raises.
"""

import re
from typing import Final

from ingest.contracts.denial import DROPPED, NAMING_KEYS, Rule, count, denied, mask_emails
from ingest.contracts.fields import RAW_IDENTIFIER_FIELDS

_QUOTED_DROPPED: Final = f'"{DROPPED}"'
_LONGEST_NAME: Final = 200
_DELIMITERS: Final = r"{}\[\],:=;&?<>\n\r\t\"'"
_ASSIGNMENT = re.compile(rf"(?<![^{_DELIMITERS}])([^{_DELIMITERS}]++)[\"'\\\s]*+[:=]")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|[bfnrt])")
_QUOTED_NAME = re.compile(r"[\"']([^\"'\\]{1,200})[\"']")
_SPACE = re.compile(r"\s*")
_STRINGS: Final = {
    '"': re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL),
    "'": re.compile(r"'(?:[^'\\]|\\.)*+'", re.DOTALL),
}
_SCALAR = re.compile(r"(?:-?[0-9][0-9.eE+-]*+|true|false|null|NaN|-?Infinity)(?=\s*+(?:[,}\]]|\Z))")
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]"]', re.DOTALL)
_VALUE_ENDS = re.compile(
    r"\s*+(?:\Z|[}\]][\s}\]]*+(?:\Z|[,{])|,\s*+(?:\Z|\"[^\"\\]{1,200}+\"\s*+:|'[^'\\]{1,200}+'\s*+:|[\w.-]{1,200}+\s*+[:=]))"
)


def scrub_garbled(payload: bytes, counts: dict[str, int]) -> bytes:
    """Bytes in any encoding; what is no UTF-8 stays as it is. NULs (UTF-16) go where they hide a denied name."""
    text = payload.decode("utf-8", "surrogateescape")
    if "\0" in text:
        tried: dict[str, int] = {}
        without = text.replace("\0", "")
        scrubbed = scrub_text(without, tried)
        if scrubbed == without:
            return payload
        for name, hits in tried.items():
            counts[name] = counts.get(name, 0) + hits
        return scrubbed.encode("utf-8", "surrogateescape")
    return scrub_text(text, counts).encode("utf-8", "surrogateescape")


def scrub_text(text: str, counts: dict[str, int]) -> str:
    """The same for text, such as a string that only looks like JSON."""
    pieces: list[str] = []
    copied = at = 0
    last_at_sign = text.rfind("@")
    pending: tuple[Rule, str] | None = None
    while (assignment := _ASSIGNMENT.search(text, at)) is not None:
        at = assignment.end()
        name = _unescaped(assignment[1][-_LONGEST_NAME:]).strip()
        start = _space_end(text, at)
        if name.lower() in NAMING_KEYS:  # {"key": "gen_ai.prompt", "value": …}, as OTLP has it
            named = _QUOTED_NAME.match(text, start)
            pending = None if named is None else denied(named[1])
        rule = denied(name)
        if rule is None and pending is not None and name.lower() == "value":
            rule, pending = pending, None
        may_be_raw = name in RAW_IDENTIFIER_FIELDS and start < last_at_sign and text[start] in _STRINGS
        if rule is None and not may_be_raw:
            continue
        end = _value_end(text, start)
        if start == end or text[start:end] == _QUOTED_DROPPED:
            at = max(at, end)
            continue
        if rule is None and "@" not in text[start:end]:
            continue
        count(counts, name if rule is None else rule[1])
        pieces += (text[copied:start], _QUOTED_DROPPED)
        copied = at = end
    return mask_emails("".join((*pieces, text[copied:])), counts)


def _unescaped(name: str) -> str:
    if "\\" not in name:
        return name
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else " ", name)


def _space_end(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _value_end(text: str, start: int) -> int:
    first = text[start : start + 1]
    if first in _STRINGS:
        closed = _STRINGS[first].match(text, start)
        end = -1 if closed is None else closed.end()
    elif first in ("{", "["):
        end = _bracket_end(text, start)
    else:
        scalar = _SCALAR.match(text, start)
        return len(text) if scalar is None else scalar.end()
    return end if end >= 0 and _VALUE_ENDS.match(text, end) else len(text)


def _bracket_end(text: str, start: int) -> int:
    """Behind the bracket that closes the one at `start`; -1 where it or a quote in between never closes."""
    depth = 0
    for token in _STRUCTURE.finditer(text, start):
        mark = token[0]
        if mark == '"':
            return -1
        if mark in ("{", "["):
            depth += 1
        elif mark in ("}", "]"):
            depth -= 1
            if depth == 0:
                return token.end()
    return -1
