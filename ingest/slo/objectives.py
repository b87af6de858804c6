"""The rows of seeds/slo_objectives.csv: read, checked, merged by id, written whole.

In: a CSV with the columns of COLUMNS. A row that is wrong is an ObjectiveError that names file, line and column. Rows
that are not touched keep their place and their spelling.
"""

import csv
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

from ingest.errors import MeterhouseError

FILE_NAME = "slo_objectives.csv"
COLUMNS = (
    "id", "indicator", "workspace_id", "agent", "model", "tool_name", "threshold", "objective", "window_days",
    "min_events", "owner",
)  # fmt: skip
INDICATORS = ("run_success", "llm_success", "llm_latency", "tool_success", "freshness")
THRESHOLD_INDICATORS = ("llm_latency", "freshness")
LONGEST_WINDOW_DAYS = 30
"""What the models look back on (slo_lookback_days less two); the seed's own test says the same."""
SCOPES_OF = {
    "run_success": ("workspace_id", "agent"),
    "llm_success": ("workspace_id", "agent", "model"),
    "llm_latency": ("workspace_id", "agent", "model"),
    "tool_success": ("workspace_id", "agent", "tool_name"),
    "freshness": ("workspace_id",),
}
"""Which columns may narrow an indicator; the others stay `*`."""


class ObjectiveError(MeterhouseError):
    """An objective cannot be what it says; nothing was written."""

    exit_code = 2


@dataclass(frozen=True)
class Objective:
    """One row. threshold in milliseconds, only for THRESHOLD_INDICATORS; objective is a share, at most 1."""

    id: str
    indicator: str
    objective: Decimal
    window_days: int
    min_events: int
    owner: str
    workspace_id: str = "*"
    agent: str = "*"
    model: str = "*"
    tool_name: str = "*"
    threshold: Decimal | None = None

    def row(self) -> dict[str, str]:
        """The row as the file spells it: numbers without exponents, no threshold as nothing."""
        values = asdict(self)
        return {name: "" if values[name] is None else _text(values[name]) for name in COLUMNS}


@dataclass(frozen=True)
class Merge:
    """The file with the objectives in it, and what that changes."""

    path: Path
    rows: list[dict[str, str]]
    added: list[str]
    changed: list[str]
    unchanged: list[str]

    def write(self) -> None:
        """Replace the file whole; it is either the old one or the new one."""
        beside = self.path.with_suffix(".csv.new")
        with beside.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        beside.replace(self.path)


def check(objective: Objective, where: str) -> None:
    """ObjectiveError where a row would not hold what the seed's tests ask; `where` names its origin."""
    if objective.indicator not in INDICATORS:
        raise ObjectiveError(
            f"{where}: indicator expected one of {', '.join(INDICATORS)}, came {objective.indicator!r}."
        )
    if not 0 < objective.objective <= 1:
        raise ObjectiveError(f"{where}: a target above 0 and at most 1 (100 %) expected, came {objective.objective}.")
    if objective.objective != round(objective.objective, 6):
        raise ObjectiveError(f"{where}: a target of at most six decimals expected, came {objective.objective}.")
    if not 1 <= objective.window_days <= LONGEST_WINDOW_DAYS:
        raise ObjectiveError(
            f"{where}: a window of 1 to {LONGEST_WINDOW_DAYS} days expected, came {objective.window_days}; a longer one"
            " needs slo_lookback_days raised in dbt_project.yml."
        )
    if objective.min_events < 0:
        raise ObjectiveError(f"{where}: min_events of 0 or more expected, came {objective.min_events}.")
    needs_threshold = objective.indicator in THRESHOLD_INDICATORS
    if needs_threshold and (objective.threshold is None or objective.threshold <= 0):
        raise ObjectiveError(
            f"{where}: {objective.indicator} needs a threshold in milliseconds (op: lte, value: 30000), came"
            f" {objective.threshold}."
        )
    if not needs_threshold and objective.threshold is not None:
        raise ObjectiveError(
            f"{where}: {objective.indicator} has no threshold, came {objective.threshold}; leave value out, or use"
            " llm_latency."
        )
    for scope in ("workspace_id", "agent", "model", "tool_name"):
        value = getattr(objective, scope)
        if not value or (value != "*" and scope not in SCOPES_OF[objective.indicator]):
            allowed = ", ".join(SCOPES_OF[objective.indicator])
            raise ObjectiveError(
                f"{where}: {objective.indicator} can be narrowed by {allowed}, came {scope} = {value!r}; leave it out."
            )


def merge(path: Path, objectives: list[Objective]) -> Merge:
    """The file's rows with these in place of those of the same id, new ones at its end. Writes nothing."""
    rows = _read(path)
    places = {row["id"]: place for place, row in enumerate(rows)}
    added, changed, unchanged = [], [], []
    for objective in objectives:
        row = objective.row()
        place = places.get(objective.id)
        if place is None:
            places[objective.id] = len(rows)
            rows.append(row)
            added.append(objective.id)
        elif _same(rows[place], row):
            unchanged.append(objective.id)
        else:
            rows[place] = row
            changed.append(objective.id)
    return Merge(path, rows, added, changed, unchanged)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ObjectiveError(f"{path}: the columns {', '.join(COLUMNS)} expected, came {reader.fieldnames}.")
            return list(reader)
    except FileNotFoundError as error:
        raise ObjectiveError(
            f"{path} expected, and is not there: run this in the repository, or name --seeds."
        ) from error


def _same(left: dict[str, str], right: dict[str, str]) -> bool:
    """Equal as values: 0.990 is 0.99."""
    numbers = ("threshold", "objective")
    return all(
        left[name] == right[name]
        or (name in numbers and left[name] and right[name] and Decimal(left[name]) == Decimal(right[name]))
        for name in COLUMNS
    )


def _text(value: object) -> str:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
