"""What judge() answers: Accepted or Refused, the closed set of error classes, and the limits that settings give.

Counts are by name and bounded: dropped names are rules of the deny list, unknown names are the producer's, cut to
MAX_NAMED_UNKNOWN of harmless spelling an event; NameTally bounds them over all events of a process.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from ingest.contracts.agent_event import AgentEvent

ErrorClass = Literal[
    "too_large",
    "not_utf8",
    "malformed_json",
    "not_an_object",
    "unknown_schema_version",
    "missing_field",
    "wrong_type",
    "too_long",
    "out_of_range",
    "bad_identifier",
    "bad_time",
    "unknown_event_type",
    "unknown_status",
    "part_exceeds_whole",
    "outside_time_window",
    "too_deep",
]
ERROR_CLASSES: Final[tuple[ErrorClass, ...]] = get_args(ErrorClass)
ERROR_MEANINGS: Final[Mapping[ErrorClass, str]] = {
    "too_large": "The message, or its context, has more bytes than the limit",
    "not_utf8": "The message is not UTF-8",
    "malformed_json": "The message is not one JSON value",
    "not_an_object": "The message is JSON, but not an object",
    "unknown_schema_version": "schema_version is above what is known here; upgrade the loader, then replay",
    "missing_field": "A required field is missing or null",
    "wrong_type": "A field has another JSON type than expected",
    "too_long": "A string has more characters than the field may have",
    "out_of_range": "A number is below or above the field's range",
    "bad_identifier": "event_id is no UUID or the nil UUID, or workspace_id has other characters than allowed",
    "bad_time": "occurred_at is a string, but not RFC 3339 with an offset, or not a date of the calendar",
    "unknown_event_type": "event_type is none of the known ones",
    "unknown_status": "status is none of the known ones",
    "part_exceeds_whole": "Cache tokens exceed input_tokens, or reasoning_tokens exceed output_tokens",
    "outside_time_window": "occurred_at is older or farther in the future than the settings allow",
    "too_deep": "The context, or the message, nests deeper than the limit",
}

OTHER: Final = "(other)"
MAX_NAMED_UNKNOWN: Final = 32
_HARMLESS_SPELLING = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class EventLimits:
    """Limits that settings give. Ages in milliseconds before and after the time of judgement, both inclusive."""

    max_age_ms: int = 45 * 86_400_000
    max_future_ms: int = 900_000
    context_depth: int = 4
    context_bytes: int = 8 * 1024
    unknown_bytes: int = 4 * 1024
    unknown_fields: int = 32
    max_event_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        if min(self.max_age_ms, self.max_future_ms, self.unknown_bytes, self.unknown_fields) < 0:
            raise ValueError("limits of an event cannot be negative")
        if not 1 <= self.context_depth <= 32 or self.context_bytes < 2 or self.max_event_bytes < 2:
            raise ValueError("context_depth must be 1 to 32, context_bytes and max_event_bytes at least 2")


@dataclass(frozen=True)
class Accepted:
    """An event that may land. `event` is normalised (see AgentEvent); nothing denied is in it."""

    event: AgentEvent
    dropped: Mapping[str, int] = field(default_factory=dict)
    """What was removed or masked, by the rule's name."""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Unknown top-level fields by name; names of odd spelling, and what is too many, under `(other)`."""
    unknown_lost: int = 0
    """Those of them that did not fit into `_unknown` and are gone."""


@dataclass(frozen=True)
class Refused:
    """An event that cannot land. `field` is '' where the message as a whole is wrong; `reason` is one sentence."""

    error_class: ErrorClass
    field: str
    reason: str


class NameTally:
    """Adds up counts by name over a process's life with at most `max_names` names; the rest counts as `(other)`."""

    def __init__(self, max_names: int = 200) -> None:
        self._max_names = max_names
        self.counts: dict[str, int] = {}

    def add(self, counts: Mapping[str, int]) -> None:
        for name, hits in counts.items():
            key = name if name in self.counts or len(self.counts) < self._max_names else OTHER
            self.counts[key] = self.counts.get(key, 0) + hits


def tally_name(counts: dict[str, int], name: str) -> None:
    """Counts a name that a stranger chose."""
    fits = _HARMLESS_SPELLING.fullmatch(name) and (name in counts or len(counts) < MAX_NAMED_UNKNOWN)
    key = name if fits else OTHER
    counts[key] = counts.get(key, 0) + 1
