"""Writes the first version of a mart: SQL, YAML and a unit test that build, pass lint and can be changed from there.

In: a name, its grain and the model it is counted from. Out: two files under models/marts/<folder>. Names that do not
fit, a grain without a time and a mart that is already there raise MeterhouseError before anything is written.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.building.properties import Column, read_models
from ingest.errors import MeterhouseError

FOLDERS: Final = ("llm", "reliability", "slo", "cost", "product", "ops")
OWNERS: Final = ("platform", "finance", "oncall")


@dataclass(frozen=True, slots=True)
class _Time:
    """A time in a grain: how it is computed from a row, its type, and the units of bucket and partition."""

    expression: str
    data_type: str
    bucket: str
    partition: str
    words: str
    example: str


@dataclass(frozen=True, slots=True)
class _Source:
    """A model marts are counted from: which of its columns is the time, and the log that says what changed."""

    moment: str
    hour: str
    change_log: str
    row: str


SOURCES: Final[Mapping[str, _Source]] = {
    "int_agent_events": _Source("occurred_at", "occurred_hour", "int_changed_hours", "events"),
    "int_llm_calls": _Source("occurred_at", "occurred_hour", "int_changed_hours", "calls"),
    "int_tool_calls": _Source("occurred_at", "occurred_hour", "int_changed_hours", "calls"),
    "int_agent_runs": _Source("started_at", "started_hour", "int_changed_run_hours", "runs"),
}


@dataclass(frozen=True, slots=True)
class NewMart:
    """What is asked for. `grain` is in order; exactly one of day, hour and minute is in it."""

    name: str
    grain: tuple[str, ...]
    source: str = "int_agent_events"
    folder: str = "ops"
    owner: str = "platform"


def write(asked: NewMart, project: Path) -> list[Path]:
    """Writes the two files; returns their paths."""
    source = _check(asked, project)
    columns = _columns_of(project / "models" / "intermediate" / f"{asked.source}.yml")
    unknown = [name for name in asked.grain if name not in _times(source) and name not in columns]
    if unknown:
        raise MeterhouseError(
            f"--grain names {unknown[0]}, which {asked.source} does not have. It has day, hour, minute and "
            f"{', '.join(sorted(columns))}."
        )
    folder = project / "models" / "marts" / asked.folder
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        folder / f"{asked.name}.sql": _sql(asked, source),
        folder / f"{asked.name}.yml": _yaml(asked, source, columns),
    }
    for file, text in files.items():
        file.write_text(text)
    return list(files)


def _check(asked: NewMart, project: Path) -> _Source:
    if not re.fullmatch(r"[a-z][a-z0-9_]{2,60}", asked.name) or asked.name.startswith(("int_", "stg_", "alert")):
        raise MeterhouseError(
            f"a mart's name is lower case with underscores and has no layer's prefix, came {asked.name!r}."
        )
    there = next(project.glob(f"models/**/{asked.name}.sql"), None)
    if there is not None:
        raise MeterhouseError(
            f"{there.relative_to(project)} is already there: choose another name, or change that file."
        )
    if asked.source not in SOURCES:
        raise MeterhouseError(f"--from expects one of {', '.join(SOURCES)}, came {asked.source!r}.")
    if asked.folder not in FOLDERS:
        raise MeterhouseError(f"--folder expects one of {', '.join(FOLDERS)}, came {asked.folder!r}.")
    if asked.owner not in OWNERS:
        raise MeterhouseError(f"--owner expects one of {', '.join(OWNERS)}, came {asked.owner!r}.")
    source = SOURCES[asked.source]
    if sum(name in _times(source) for name in asked.grain) != 1 or len(set(asked.grain)) != len(asked.grain):
        raise MeterhouseError(
            "--grain expects columns separated by commas, each once, with exactly one of day, hour and minute among "
            f"them: such as day,workspace_id,agent; came {','.join(asked.grain)!r}."
        )
    return source


def _times(source: _Source) -> dict[str, _Time]:
    return {
        "day": _Time(f"toDate({source.moment})", "Date", "day", "month", "Day, UTC.", "2026-11-01"),
        "hour": _Time(
            source.hour, "DateTime('UTC')", "hour", "day", "Hour, named by its start, UTC.", "2026-11-01 10:00:00"
        ),
        "minute": _Time(
            f"toStartOfMinute({source.moment})", "DateTime('UTC')", "hour", "day", "Minute, named by its start, UTC.",
            "2026-11-01 10:05:00",
        ),
    }  # fmt: skip


def _columns_of(file: Path) -> dict[str, Column]:
    return {column.name: column for column in read_models(file)[0].columns}


def _time_of(asked: NewMart, source: _Source) -> tuple[str, _Time]:
    return next((name, time) for name, time in _times(source).items() if name in asked.grain)


def _sql(asked: NewMart, source: _Source) -> str:
    name, time = _time_of(asked, source)
    rows = source.row
    selected = "".join(f"        {f'{time.expression} as {one}' if one == name else one},\n" for one in asked.grain)
    grouped = ",\n".join(f"        {time.expression if one == name else one}" for one in asked.grain)
    order = ", ".join(f"'{one}'" for one in sorted(asked.grain, key=lambda one: (one != "workspace_id", one == name)))
    return f"""{{{{
    config(
        materialized='bucketed',
        order_by=[{order}],
        meta={{
            'change_logs': ['{source.change_log}'],
            'bucket': '{time.bucket}',
            'bucket_column': '{name}',
            'partition': '{time.partition}',
        }},
    )
}}}}

-- depends_on: {{{{ ref('{source.change_log}') }}}}

with

{rows} as (
    select * from {{{{ ref('{asked.source}') }}}}
    where {{{{ in_buckets('{source.hour}') }}}}
),

final as (
    select
{selected}        count() as {rows}
    from {rows}
    group by
{grouped}
)

select * from final
"""  # noqa: S608  # a file's text, not a query


def _yaml(asked: NewMart, source: _Source, columns: Mapping[str, Column]) -> str:
    name, time = _time_of(asked, source)
    rows = source.row
    described = [
        (one, time.data_type, time.words)
        if one == name
        else (one, columns[one].data_type, columns[one].description.split(";")[0].strip().rstrip(".") + ".")
        for one in asked.grain
    ] + [(rows, "UInt64", f"Number of {rows}.")]
    listed = "".join(
        f"      - name: {one}\n        data_type: {kind}\n        description: {_quoted(words)}\n"
        for one, kind, words in described
    )
    words = " ".join(one.removesuffix("_id").replace("_", " ") + "," for one in asked.grain).rstrip(",")
    description = (
        f"Grain: one row a {words}, ({', '.join(asked.grain)}). How many {rows} there were; say here what it is for."
    )
    given = {source.moment: "2026-11-01 10:05:00.000", source.hour: "2026-11-01 10:00:00"}
    given |= {one: f"a {one}"[:20] for one in asked.grain if one != name and "String" in columns[one].data_type}
    expected: dict[str, object] = {one: time.example if one == name else given.get(one) for one in asked.grain}
    expected = {key: value for key, value in expected.items() if value is not None} | {rows: 2}
    return f"""version: 2

models:
  - name: {asked.name}
    description: >
{textwrap.fill(description, 112, initial_indent="      ", subsequent_indent="      ")}
    config:
      meta: {{owner: {asked.owner}}}
    data_tests:
      - unique_grain:
          arguments: {{columns: [{", ".join(asked.grain)}]}}
    columns:
{listed}
unit_tests:
  - name: {asked.name}_counts_{rows}
    model: {asked.name}
    given:
      - input: ref('{asked.source}')
        rows:
          - {_flow(given)}
          - {_flow(given)}
    expect:
      rows:
        - {_flow(expected)}
"""


def _quoted(words: str) -> str:
    return f'"{words}"' if ":" in words else words


def _flow(row: Mapping[str, object]) -> str:
    pairs: Sequence[str] = [
        f"{key}: {value}" if isinstance(value, int) else f'{key}: "{value}"' for key, value in row.items()
    ]
    return "{" + ", ".join(pairs) + "}"
