"""`meterhouse up` as a person meets it: killed midway and repeated, then Dagster's page in a headless Chromium.

One stack for the module, of one's own home and ports, with a little data, so that the checks have numbers to show.
"""

import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest

from ingest.embedded.parts import Keeper
from ingest.embedded.processes import METERHOUSE
from ingest.embedded.report import collect
from ingest.embedded.stack import environment
from ingest.kafka import open_producer, producer_config
from ingest.settings import Settings, load_settings
from ingest.simulate import SimulationConfig, play
from ingest.warehouse import connect
from orchestration.first_build import TAG
from orchestration.lib.graphql import ask
from orchestration.parts import page as address_of
from orchestration.serve import LOCATION
from tests.orchestration.browser.page import GRAPH, Page, of_asset
from tests.support.chromium import browser, is_required, why_absent
from tests.support.servers import free_port
from tests.unit.contracts.events import payload

MART = "marts/llm_daily"
RUNS = "query($filter: RunsFilter) {runsOrError(filter: $filter) {... on Runs {results {runId status}}}}"
LAUNCH = """
mutation($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {... on LaunchRunSuccess {run {runId status}}}
}
"""
ASSETS = "{assetNodes {groupName isMaterializable assetMaterializations(limit: 1) {timestamp}}}"


class Run(msgspec.Struct, rename="camel"):
    run_id: str
    status: str


class Results(msgspec.Struct):
    results: list[Run]


class Runs(msgspec.Struct, rename="camel"):
    runs_or_error: Results


class Launch(msgspec.Struct):
    run: Run


class Launched(msgspec.Struct, rename="camel"):
    launch_pipeline_execution: Launch


class Asset(msgspec.Struct, rename="camel"):
    group_name: str
    is_materializable: bool
    asset_materializations: list[dict[str, str]]


class Assets(msgspec.Struct, rename="camel"):
    asset_nodes: list[Asset]


@dataclass(frozen=True)
class House:
    """A stack that is up; `said` is what the `up` that finished printed."""

    settings: Settings
    said: str

    @property
    def address(self) -> str:
        return address_of(self.settings)

    def runs(self, **asked: object) -> list[Run]:
        """Newest first."""
        return ask(self.address, RUNS, Runs, {"filter": asked}).runs_or_error.results

    def count(self, query: str) -> int:
        client = connect(self.settings.clickhouse, connect_timeout_s=5, request_timeout_s=30)
        try:
            return int(client.query(query).result_rows[0][0])
        finally:
            client.close()


def until(look: Callable[[], object], what: str, within_s: float = 480.0) -> None:
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        time.sleep(0.3)


def command(settings: Settings, *words: str) -> "subprocess.Popen[str]":
    # Without the environment that these tests load Dagster with: `up` has to say dev itself.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("METERHOUSE_")}
    argv = [*METERHOUSE, *words]
    return subprocess.Popen(
        argv, env={**inherited, **environment(settings)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finished(process: "subprocess.Popen[str]") -> str:
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    if not is_required():
        pytest.skip("a whole stack and a browser take minutes: make browser")
    absent = why_absent()
    if absent is not None:
        pytest.fail(absent)
    settings = load_settings(
        home=tmp_path_factory.mktemp("house"),
        embedded_clickhouse_port=free_port(),
        embedded_kafka_port=free_port(),
        metrics_port=free_port(),
        api_port=free_port(),
        api_grpc_port=free_port(),
        dagster_port=free_port(),
        dagster_code_port=free_port(),
    )
    try:
        finished(command(settings, "up", "--without", "dagster"))
        play.play(SimulationConfig(end_ms=int(time.time() * 1000), events=2_000, hours=3, seed=3), settings=settings)
        _call_now(settings)
        until(lambda: [line.lag for line in collect(settings).topics[:1]] == [0], "the loader lands the events")
        yield House(settings, _up_after_a_kill(settings))
    finally:
        finished(command(settings, "down"))


def _call_now(settings: Settings) -> None:
    """One model call of this very day, which need not have another one yet."""
    producer = open_producer(producer_config(settings.bootstrap, settings.kafka_options))
    call = payload(event_id=str(uuid.uuid4()), event_type="llm_call", occurred_at=int(time.time() * 1000))
    producer.produce(settings.topic("agent_events"), call)
    assert producer.flush(30) == 0


def _up_after_a_kill(settings: Settings) -> str:
    """Kills `up` and the process that holds the runs while the first build goes on; returns what the next `up` says."""
    house, first = House(settings, ""), command(settings, "up")
    try:
        keeper = Keeper(settings.home)
        until(lambda: "dagster-daemon" in keeper.remembered() or first.poll() is not None, "the parts of Dagster start")
        started = {"key": TAG, "value": "true"}
        until(
            lambda: house.runs(statuses=["STARTED"], tags=[started]) or first.poll() is not None,
            "the first build starts",
        )
        assert first.poll() is None, first.communicate()[0]
        os.kill(keeper.remembered()["dagster-code"].pid, signal.SIGKILL)
    finally:
        first.kill()
        first.communicate()
    return finished(command(settings, "up"))


@pytest.fixture(scope="module")
def page(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        # A check says that it is in progress while a run of it goes on.
        yield Page(driver, house.address, within_s=240)


def test_up_that_was_killed_midway_ends_at_the_next_try_with_all_built_once_and_the_address(house: House) -> None:
    assert re.search(rf"Dagster: {house.address} \(all \d+ assets have been materialized\)", house.said), house.said
    assets = [one for one in ask(house.address, ASSETS, Assets).asset_nodes if one.is_materializable]
    assert len(assets) > 50
    assert [one for one in assets if not one.asset_materializations] == []
    builds = [run.status for run in house.runs(tags=[{"key": TAG, "value": "true"}])]
    assert builds == ["SUCCESS", "FAILURE"]  # the one that died holds nothing back, and is told to have failed
    # Nothing was tried meanwhile on tables that were not there yet.
    assert house.runs(statuses=["FAILURE"], tags=[{"key": "meterhouse/build", "value": "arrivals"}])[1:] == []


def test_up_again_starts_and_builds_nothing(house: House) -> None:
    before = len(house.runs(tags=[{"key": TAG, "value": "true"}]))
    said = finished(command(house.settings, "up"))
    assert f"Dagster: {house.address}" in said
    assert "dagster-code already runs" in said
    assert len(house.runs(tags=[{"key": TAG, "value": "true"}])) == before


def test_the_graph_shows_every_family(house: House, page: Page) -> None:
    page.open(GRAPH)
    groups = {one.group_name for one in ask(house.address, ASSETS, Assets).asset_nodes if one.is_materializable}
    assert {"raw", "staging_agent", "intermediate", "marts_llm", "marts_slo", "alerts"} <= groups
    for group in groups:
        # Once in the list at its side, once as a node.
        page.expect(rf"(?s)\b{group}\b.*\b{group}\b")


def shows_its_checks(page: Page) -> None:
    page.open(of_asset(MART, "checks", "llm_daily_same_totals_as_calls"))
    page.expect(r"(?s)blocking asset check.*Passed.*failed_row_count\s+0\b")
    page.open(of_asset(MART, "checks", "fresh"))
    page.expect(r"(?s)Evaluation result\s+Passed.*Metadata.*\d")


def test_a_mart_shows_its_checks_with_numbers_and_how_fresh_it_is(page: Page) -> None:
    shows_its_checks(page)
    page.open(of_asset(MART))
    page.expect(r"Freshness policy\s+Passing")
    page.open(of_asset("raw/agent_events"))
    page.expect(r"Row count\s+[\d,]+")


def test_checks_are_shown_also_after_schedules_and_sensors_have_built_their_tables_again(
    house: House, page: Page
) -> None:
    for job, runs in (("marts", 1), ("fast", 2)):
        until(
            lambda job=job, runs=runs: len(house.runs(pipelineName=job, statuses=["SUCCESS"])) >= runs,  # type: ignore[misc]
            f"{runs} runs of {job} by themselves",
        )
    shows_its_checks(page)
    # A table of the minute: what its last build has seen is judged in that very run.
    page.open(of_asset("marts/slo_5m", "checks", "fresh"))
    page.expect(r"(?s)Evaluation result\s+Passed.*Metadata.*\d")


@pytest.mark.parametrize("job", ["hourly", "daily"])
def test_the_job_of_a_family_that_few_tests_would_wait_for_ends_well_on_a_house_that_is_built(
    house: House, job: str
) -> None:
    location = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "pipelineName": job}
    tags = [{"key": "dagster/partition", "value": f"{datetime.now(UTC):%Y-%m-%d}"}]
    params = {"mode": "default", "selector": location, "executionMetadata": {"tags": tags}}
    run = ask(house.address, LAUNCH, Launched, {"params": params}).launch_pipeline_execution.run
    until(lambda: house.runs(runIds=[run.run_id])[0].status in ("SUCCESS", "FAILURE"), f"{job} ends")
    assert house.runs(runIds=[run.run_id])[0].status == "SUCCESS"


def test_a_mart_is_materialized_from_its_page(house: House, page: Page) -> None:
    rows = f"select count() from {house.settings.database('marts')}.llm_daily where day = today()"
    assert house.count(rows) > 0
    client = connect(house.settings.clickhouse, connect_timeout_s=5, request_timeout_s=30)
    # This day only, which the page then builds: the checks of the same run see the others too.
    client.command(
        f"alter table {house.settings.database('marts')}.llm_daily delete where day = today() settings mutations_sync=2"
    )
    client.close()
    page.open(of_asset(MART))
    page.expect("Latest check results")
    page.press("Materialize")
    page.expect("Partition selection")
    page.press("Latest")
    page.press("Launch 1 run")
    until(lambda: house.count(rows) > 0, "the rows of the day that the page was told to build")
    newest = house.runs(tags=[{"key": "dagster/from_ui", "value": "true"}])
    until(lambda: house.runs(runIds=[newest[0].run_id])[0].status == "SUCCESS", "the page's run ends well")
