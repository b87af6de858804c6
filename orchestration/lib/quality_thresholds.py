"""Thresholds of all checks: orchestration/expectations/thresholds.yml as frozen structs.

`load_thresholds()` reads the file anew each time, so an edit holds from the next run of a check on. A wrong file raises
SettingsError with the file, the key and what was expected; a warning that comes after its error is wrong too.
"""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from orchestration.lib import quality_files

FILE: Final = quality_files.FOLDER / "thresholds.yml"

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class ConsumerLag(_Rule, frozen=True):
    warn_messages: Count
    error_messages: Count
    warn_behind_s: Positive
    error_behind_s: Positive


class RejectShare(_Rule, frozen=True):
    window_hours: Positive
    min_messages: Positive
    warn_share: Share
    error_share: Share


class PartsAndMutations(_Rule, frozen=True):
    warn_parts: Positive
    error_parts: Positive
    warn_mutation_age_s: Positive
    error_mutation_age_s: Positive


class Disk(_Rule, frozen=True):
    warn_free_share: Share
    error_free_share: Share
    error_free_bytes: Count


class PriceTable(_Rule, frozen=True):
    warn_age_days: Positive
    error_age_days: Positive
    min_rows: Positive


class ManifestDrift(_Rule, frozen=True):
    list_at_most: Positive


class Completeness(_Rule, frozen=True):
    days: Annotated[int, Meta(ge=1, le=28)]
    grace_minutes: Count
    read_at_most: Count
    list_at_most: Positive


class Window(_Rule, frozen=True):
    """Minutes behind from which on something is late, and too late."""

    warn_after_minutes: Positive
    fail_after_minutes: Positive


class Buckets(_Rule, frozen=True):
    hour: Window
    day: Window


class Freshness(_Rule, frozen=True):
    raw: Window
    fast: Window
    hourly: Window
    daily: Window
    buckets: Buckets

    def of(self, family: str) -> Window:
        """Of `raw`, or of a family of models. Raises KeyError for one that has none, as seeds."""
        return {"raw": self.raw, "fast": self.fast, "hourly": self.hourly, "daily": self.daily}[family]


class Thresholds(_Rule, frozen=True):
    """The whole file."""

    consumer_lag: ConsumerLag
    reject_share: RejectShare
    parts_and_mutations: PartsAndMutations
    disk: Disk
    price_table: PriceTable
    manifest_drift: ManifestDrift
    completeness: Completeness
    freshness: Freshness


def load_thresholds(path: Path = FILE) -> Thresholds:
    """The file as it is now. Raises SettingsError."""
    read = quality_files.read(path, Thresholds)
    document = msgspec.to_builtins(read)
    for key, warns, fails in _pairs("", document):
        # A free share falls, everything else grows.
        is_ordered = warns >= fails if "free" in key else warns <= fails
        if not is_ordered:
            error = msgspec.ValidationError(f"Expected a warning that comes before the error ({fails:g}) - at `${key}`")
            raise quality_files.wrong(path, error, document)
    return read


def _pairs(prefix: str, values: object) -> "list[tuple[str, float, float]]":
    """Every (key of the warning, its value, the error's value) of the document."""
    if not isinstance(values, dict):
        return []
    found = []
    for name, value in values.items():
        found += _pairs(f"{prefix}.{name}", value)
        error_name = name.replace("warn_", "fail_" if name == "warn_after_minutes" else "error_")
        if name.startswith("warn_") and error_name in values:
            found.append((f"{prefix}.{name}", float(value), float(values[error_name])))
    return found
