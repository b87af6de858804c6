"""The demo's steps: simulate, a real agent, land, look, build, marts. Landing and building are runs of Dagster.

In: the demo of ingest/demo, whose stack stands. Out: its checks and sections; the runs are kept in the home, where
a later `meterhouse up` shows them. An asset that is not built stops the demo with what Dagster said.
"""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from ingest.demo.checks import Check
from ingest.demo.live import run_agent
from ingest.demo.marts import read_marts
from ingest.demo.steps import Demo, Step, look, simulate
from ingest.errors import MeterhouseError
from orchestration.parts import dagster_home, variables
from orchestration.serve import prepared

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation

    from orchestration.demo.execute import Outcome

LANDED: Final = ("raw", "agent_events")


def land(demo: Demo) -> None:
    """Everything the topic holds, into ClickHouse, by the asset that drains it."""
    shutil.rmtree(dagster_home(demo.settings), ignore_errors=True)  # what Dagster knows of the data of a demo before
    outcome = _run(demo, is_raw=True)
    demo.landed_in_s = outcome.seconds
    facts = next((found for key, found in outcome.metadata.items() if tuple(key.path) == LANDED), {})
    shown = ", ".join(f"{name} {value:,}" for name, value in facts.items() if isinstance(value, int))
    demo.console.print(f"{'/'.join(LANDED)} materialized in {outcome.seconds:.1f} s: {escape(shown)}")


def build(demo: Demo) -> None:
    """Every other asset with its checks."""
    outcome = _run(demo, is_raw=False)
    demo.console.print(f"{len(outcome.metadata)} assets and {len(outcome.checks)} checks in {outcome.seconds:.1f} s")
    demo.sections.append(_shown(outcome.checks))
    bad = [check for check in outcome.failed_checks if check.severity.value == "ERROR"]
    demo.checks.append(Check("Dagster built every asset and every check passed", "nothing failed", _named(bad)))


def _run(demo: Demo, *, is_raw: bool) -> "Outcome":
    """A run of the raw assets, or of all that stand on them."""
    os.environ.update(variables(demo.settings))
    home = dagster_home(demo.settings)
    with prepared(home, demo.settings.dagster_code_port):
        pass
    from dagster import DagsterInstance

    from orchestration.definitions import definitions
    from orchestration.demo.execute import execute

    graph = definitions.resolve_asset_graph()
    keys = [key for key in graph.materializable_asset_keys if (key.path[0] == LANDED[0]) == is_raw]
    with DagsterInstance.get() as instance:
        log = demo.settings.home / "logs" / "dagster-demo.log"
        job = definitions.resolve_job_def("everything")
        outcome = execute(job, keys, instance, demo.console, log, day=f"{datetime.now(UTC):%Y-%m-%d}")
    missing = [key for key in keys if key not in outcome.metadata]
    if missing:
        why = outcome.failures[0] if outcome.failures else "Dagster named no reason"
        raise MeterhouseError(
            f"Dagster did not build {missing[0].to_user_string()} (and {len(missing) - 1} more): {why}. See {log}."
        )
    return outcome


def _shown(checks: "Sequence[AssetCheckEvaluation]") -> RenderableType:
    """How many checks each layer passed, and what did not pass."""
    ran, passed = Counter(one.asset_key.path[0] for one in checks), Counter[str]()
    passed.update(one.asset_key.path[0] for one in checks if one.passed)
    table = Table("layer", "checks", "passed", title="Asset checks", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for layer in sorted(ran):
        table.add_row(escape(layer), f"{ran[layer]:,}", f"{passed[layer]:,}")
    unmet = [f"  {one.severity.value.lower()}: {escape(_name(one))}" for one in checks if not one.passed]
    return Group(table, *unmet)


def _named(checks: "Sequence[AssetCheckEvaluation]") -> str:
    shown = ", ".join(_name(one) for one in checks[:5])
    return "nothing failed" if not checks else f"{len(checks)} failed: {shown}"


def _name(check: "AssetCheckEvaluation") -> str:
    return f"{check.asset_key.to_user_string()}: {check.check_name}"


STEPS: Final = (
    Step("simulate", simulate),
    Step("a real agent", run_agent),
    Step("land", land),
    Step("look", look),
    Step("build", build),
    Step("marts", read_marts),
)
