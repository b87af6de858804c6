"""OpenSLO v1 documents into objectives.

In: the text of a YAML file with any number of documents; SLO and SLI are read, other kinds are named and left out. Out:
checked Objectives, one for each entry of spec.objectives. What cannot be kept as it is meant (a calendar window, time
slices, another metric source) is an ObjectiveError that names the document and the field; nothing is guessed.

An indicator of ours is a metric source of type `meterhouse` whose spec has `indicator` and, to narrow it,
`workspace_id`, `agent`, `model` or `tool_name`; `min_events` may stand there too. Format: github.com/OpenSLO/OpenSLO.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import msgspec
import yaml

from ingest.slo.objectives import Objective, ObjectiveError, check

API_VERSION = "openslo/v1"
SOURCE_TYPE = "meterhouse"
_DAYS = {"d": 1, "w": 7}
T = TypeVar("T")


class Metadata(msgspec.Struct):
    name: str
    labels: dict[str, str | list[str]] = {}


class SourceSpec(msgspec.Struct, forbid_unknown_fields=True):
    indicator: str
    workspace_id: str = "*"
    agent: str = "*"
    model: str = "*"
    tool_name: str = "*"
    min_events: int | None = None


class MetricSource(msgspec.Struct):
    type: str = ""
    spec: dict[str, str | int | float | bool | None] = {}


class Metric(msgspec.Struct, rename="camel"):
    metric_source: MetricSource


class RatioMetric(msgspec.Struct):
    good: Metric | None = None
    bad: Metric | None = None
    total: Metric | None = None
    raw: Metric | None = None


class IndicatorSpec(msgspec.Struct, rename="camel"):
    ratio_metric: RatioMetric | None = None
    threshold_metric: Metric | None = None


class Indicator(msgspec.Struct):
    spec: IndicatorSpec


class TimeWindow(msgspec.Struct, rename="camel"):
    duration: str
    is_rolling: bool = False


class Goal(msgspec.Struct, rename="camel"):
    target: float | str | None = None
    target_percent: float | str | None = None
    op: str = ""
    value: float | None = None
    display_name: str = ""


class SloSpec(msgspec.Struct, rename="camel"):
    objectives: list[Goal]
    time_window: list[TimeWindow]
    indicator: Indicator | None = None
    indicator_ref: str = ""
    budgeting_method: str = "Occurrences"


class Document(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    metadata: Metadata
    spec: dict[str, object] = {}


@dataclass(frozen=True)
class Reading:
    """What a file said: its objectives, and the documents that are not about them, as `kind name`."""

    objectives: list[Objective]
    left_out: list[str]


def read_openslo(text: str, name: str, *, owner: str, min_events: int) -> Reading:
    """Objectives of an OpenSLO file called `name`. `owner` and `min_events` stand in where a document says none."""
    documents = [
        _document(one, f"{name}, document {number}") for number, one in enumerate(_documents(text, name), start=1)
    ]
    indicators = {
        one.metadata.name: _convert(one.spec, IndicatorSpec, f"{name}, SLI {one.metadata.name}, spec")
        for one in documents
        if one.kind == "SLI"
    }
    objectives: list[Objective] = []
    for one in documents:
        if one.kind == "SLO":
            objectives.extend(_objectives(one, name, indicators, owner, min_events))
    ids = [one.id for one in objectives]
    for repeated in sorted({one for one in ids if ids.count(one) > 1}):
        raise ObjectiveError(f"{name}: each SLO a name of its own expected, came {repeated!r} twice.")
    if not objectives:
        raise ObjectiveError(f"{name}: at least one document of kind SLO expected, came none.")
    left_out = [f"{one.kind} {one.metadata.name}" for one in documents if one.kind not in ("SLO", "SLI")]
    return Reading(objectives, left_out)


def _documents(text: str, name: str) -> list[object]:
    try:
        return [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        raise ObjectiveError(
            f"{name}: YAML expected, came what cannot be read: {' '.join(str(error).split())}."
        ) from error


def _document(value: object, where: str) -> Document:
    document = _convert(value, Document, where)
    if document.api_version != API_VERSION:
        raise ObjectiveError(f"{where}: apiVersion {API_VERSION} expected, came {document.api_version!r}.")
    return document


def _objectives(
    document: Document, name: str, indicators: dict[str, IndicatorSpec], owner: str, min_events: int
) -> list[Objective]:
    where = f"{name}, SLO {document.metadata.name}"
    spec = _convert(document.spec, SloSpec, f"{where}, spec")
    if spec.budgeting_method != "Occurrences":
        raise ObjectiveError(
            f"{where}: budgetingMethod Occurrences expected, came {spec.budgeting_method!r}; events are counted here,"
            " not slices."
        )
    source = _source(spec, indicators, where)
    days = _window_days(spec.time_window, where)
    said_owner = document.metadata.labels.get("owner", owner)
    found = []
    for number, goal in enumerate(spec.objectives, start=1):
        own_id = document.metadata.name if len(spec.objectives) == 1 else f"{document.metadata.name}-{number}"
        place = f"{where}, objective {number}"
        objective = Objective(
            id=own_id,
            indicator=source.indicator,
            workspace_id=source.workspace_id,
            agent=source.agent,
            model=source.model,
            tool_name=source.tool_name,
            threshold=_threshold(goal, place),
            objective=_target(goal, place),
            window_days=days,
            min_events=min_events if source.min_events is None else source.min_events,
            owner=said_owner if isinstance(said_owner, str) else said_owner[0],
        )
        check(objective, place)
        found.append(objective)
    return found


def _source(spec: SloSpec, indicators: dict[str, IndicatorSpec], where: str) -> SourceSpec:
    if spec.indicator is not None:
        indicator = spec.indicator.spec
    elif spec.indicator_ref in indicators:
        indicator = indicators[spec.indicator_ref]
    else:
        raise ObjectiveError(
            f"{where}: an indicator, or an indicatorRef to an SLI of the same file expected, came"
            f" {spec.indicator_ref!r}."
        )
    ratio = indicator.ratio_metric or RatioMetric()
    metrics = [
        one for one in (indicator.threshold_metric, ratio.good, ratio.bad, ratio.total, ratio.raw) if one is not None
    ]
    sources = [one.metric_source for one in metrics]
    for source in sources:
        if source.type.lower() != SOURCE_TYPE:
            raise ObjectiveError(
                f"{where}: a metricSource of type {SOURCE_TYPE} expected, came {source.type!r}; queries of other"
                " systems cannot be turned into an indicator (docs/objectives.md)."
            )
    specs = [_convert(source.spec, SourceSpec, f"{where}, metricSource.spec") for source in sources]
    if not specs or any(one != specs[0] for one in specs):
        raise ObjectiveError(
            f"{where}: one and the same metricSource.spec in all its metrics expected, came {len(specs)}."
        )
    return specs[0]


def _window_days(windows: list[TimeWindow], where: str) -> int:
    if len(windows) != 1 or not windows[0].is_rolling:
        raise ObjectiveError(
            f"{where}: one timeWindow with isRolling: true expected, calendar windows are not kept here."
        )
    parts = re.fullmatch(r"(\d+)([a-zA-Z]+)", windows[0].duration)
    number, unit = (int(parts[1]), parts[2]) if parts else (0, "")
    if unit == "h" and number % 24 == 0:
        number, unit = number // 24, "d"
    if unit not in _DAYS:
        raise ObjectiveError(
            f"{where}: a duration in whole days or weeks (30d, 4w) expected, came {windows[0].duration!r}."
        )
    return number * _DAYS[unit]


def _target(goal: Goal, where: str) -> Decimal:
    said = [one for one in (goal.target, goal.target_percent) if one is not None]
    if len(said) != 1:
        raise ObjectiveError(f"{where}: either target (0.99) or targetPercent (99) expected, came {len(said)} of them.")
    try:
        target = Decimal(str(said[0]))
    except ArithmeticError as error:
        raise ObjectiveError(f"{where}: a number expected as target, came {said[0]!r}.") from error
    return target if goal.target is not None else target / 100


def _threshold(goal: Goal, where: str) -> Decimal | None:
    if goal.value is None:
        return None
    if goal.op != "lte":
        raise ObjectiveError(f"{where}: op lte expected (good is at most value milliseconds), came {goal.op!r}.")
    return Decimal(str(goal.value))


def _convert(value: object, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ObjectiveError(f"{where}: {error}.") from error
