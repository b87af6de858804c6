"""Is this name denied? And the cheap necessary conditions for whole columns: what they miss, nothing would change.

In: one attribute's name, or one string. Out: the rule it falls under (by the rule's name: a closed set, never the
producer's own text), the string with e-mails masked. Regular expressions marked RE2 also run in polars and ClickHouse.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

from ingest.contracts import denied_names as names

DROPPED: Final = "[dropped]"
MASKED_EMAIL: Final = "[email]"
NAMING_KEYS: Final = ("key", "attribute")
"""Keys whose value names the attribute that a sibling `value` holds, as in OTLP's JSON."""
Rule = Literal["content", "identifier"]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LONGEST_RULE_WORDS: Final = 5
_LONGEST_CACHED_NAME: Final = 200


def _spellings(entry: str) -> set[str]:
    """`end_user_id` also as `enduser_id`, `end_userid`, `enduserid`: how words are glued together is taste."""
    head, *rest = entry.split("_")
    glued = {head}
    for word in rest:
        glued = {f"{left}{glue}{word}" for left in glued for glue in ("_", "")}
    return glued


def _table(rule: Rule, entries: Iterable[str]) -> dict[str, tuple[Rule, str]]:
    return {spelling: (rule, entry) for entry in entries for spelling in _spellings(entry)}


_ENDINGS: Final = _table("content", names.CONTENT_ENDINGS) | _table(
    "identifier", [*names.IDENTIFIER_ENDINGS, *names.SECRET_ENDINGS]
)
_NAMES: Final = _table("content", names.CONTENT_NAMES) | _table(
    "identifier", [*names.IDENTIFIER_NAMES, *names.SECRET_NAMES]
)
_FAMILIES: Final = _table("content", names.CONTENT_FAMILIES) | _table("identifier", names.SECRET_FAMILIES)
_BARE_CONTENT: Final = frozenset({"input", "inputs", "output", "outputs", "text", "completion", "prompt"})


def denied(name: str) -> tuple[Rule, str] | None:
    """Which rule an attribute's name falls under and the rule's own name, or None where the attribute may stay."""
    if len(name) > _LONGEST_CACHED_NAME:
        return _denied(name)
    return _denied_cached(name)


def _denied(name: str) -> tuple[Rule, str] | None:
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return None
    whole = "_".join(words[-64:])
    if whole in names.HARMLESS_NAMES:
        return None
    if whole in _NAMES:
        return _NAMES[whole]
    for count in range(min(len(words), _LONGEST_RULE_WORDS), 0, -1):
        found = _ENDINGS.get("_".join(words[-count:]))
        if found is None:
            continue
        if found[1] in _BARE_CONTENT and len(words) > count and words[-count - 1] in names.MEASURE_WORDS:
            return None
        return found
    if words[-1] not in names.HARMLESS_ENDINGS:
        for count in range(min(len(words), _LONGEST_RULE_WORDS), 0, -1):
            family = _FAMILIES.get("_".join(words[:count]))
            if family is not None:
                return family
    return None


_denied_cached = lru_cache(maxsize=8192)(_denied)

_SEPARATOR = r"(?-i:[^a-zA-Z\"])*"


def _any_of(entries: Iterable[str]) -> str:
    longest_first = sorted({tuple(entry.split("_")) for entry in entries}, key=lambda words: (-len(words), words))
    return "(?:" + "|".join(_SEPARATOR.join(words) for words in longest_first) + ")"


_ENDING_KEY = (
    _any_of([*names.CONTENT_ENDINGS, *names.IDENTIFIER_ENDINGS, *names.SECRET_ENDINGS]) + rf'{_SEPARATOR}"\s*:'
)
_WHOLE_KEY = (
    rf'"{_SEPARATOR}'
    + _any_of([*names.CONTENT_NAMES, *names.IDENTIFIER_NAMES, *names.SECRET_NAMES])
    + rf'{_SEPARATOR}"\s*:'
)
_FAMILY_KEY = rf'"{_SEPARATOR}' + _any_of([*names.CONTENT_FAMILIES, *names.SECRET_FAMILIES]) + r'[^"]*"\s*:'

_NAMED_VALUE = r'"(?:key|attribute)"\s*:'

SUSPICIOUS_STRING: Final = r"(?i)(?:@|%40)[^\s@]*\."
"""RE2: matches every decoded string in which an e-mail address would be masked (`model@20240620` is none)."""


def suspicious_context(depth: int) -> str:
    """RE2: matches every context text that scrub_value would change or that nests deeper than `depth`.

    Not matched means: store it as it is. A backslash alone suffices, since an escape can spell any key. To look at
    several at once, join them by NUL, which valid JSON cannot hold. In polars it costs a tenth of decoding the event:
    look at unique contexts only. Python's re is 100 times slower at it.
    """
    nests = rf"(?:[\[{{][^\[{{\x00]*){{{depth + 1}}}"
    json_in_string = r'" *[\[{]'
    return rf"(?i)(?:\\|@|%40|{nests}|{json_in_string}|{_NAMED_VALUE}|{_ENDING_KEY}|{_WHOLE_KEY}|{_FAMILY_KEY})"


SUSPICIOUS_CONTEXT: Final = suspicious_context(4)
"""suspicious_context for the default depth of 4."""

_SUSPICIOUS_BLOB = re.compile(SUSPICIOUS_CONTEXT.encode())


def suspicious(blob: bytes) -> bool:
    """Whether a context in `blob` (one, or several joined by NUL) needs the careful path; false alarms allowed."""
    return _SUSPICIOUS_BLOB.search(blob) is not None


_LOCAL = r"[^\s@%\"'<>()\[\]{},;:=\\|/&?#]"
_EMAIL = re.compile(rf"(?<!{_LOCAL}){_LOCAL}++(?:@|%40)[\w-]+(?:\.[\w-]+)*\.(?:xn--[\w-]+|[^\W\d_]{{2,}})")


def mask_emails(text: str, counts: dict[str, int]) -> str:
    """E-mail-like parts replaced by `[email]`; counted under `email`."""
    if "@" not in text and "%40" not in text:
        return text
    masked, hits = _EMAIL.subn(MASKED_EMAIL, text)
    if hits:
        counts["email"] = counts.get("email", 0) + hits
    return masked


def count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
