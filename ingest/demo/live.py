"""The demo's step with a real agent: a front door for as long as the agent works, and what the marts make of it after.

In: the demo. Out: demo.live, what the agent counted; later a check and a table of the marts, against those counts. An
installation without pydantic-ai (requirements.lock alone) says so and leaves the agent out; an agent that fails is a
MeterhouseError.
"""

import os
import subprocess
import sys
from decimal import Decimal
from importlib.util import find_spec
from typing import Final

import msgspec
from clickhouse_connect.driver.client import Client

from ingest.api.keyring import keys_path
from ingest.api.own_tokens import mint_token
from ingest.api.part import door_address, door_part
from ingest.demo.agent import Counted
from ingest.demo.checks import Check
from ingest.demo.steps import Demo
from ingest.embedded.parts import Keeper
from ingest.errors import MeterhouseError
from ingest.settings import Settings

WORKSPACE: Final = "real-agent"
_NEEDS: Final = ("pydantic_ai", "opentelemetry.sdk", "opentelemetry.exporter")
_WITHIN_S: Final = 120.0


def run_agent(demo: Demo) -> None:
    """The agent's work, acknowledged by the front door."""
    missing = [name for name in _NEEDS if not _is_installed(name)]
    if missing:
        demo.console.print(f"left out: {missing[0]} is not installed; requirements-dev.lock has it", markup=False)
        return
    settings = demo.settings
    token = mint_token(keys_path(settings), WORKSPACE, 1)
    keeper, part = Keeper(settings.home), door_part(settings)
    keeper.start([part])
    try:
        demo.live = _worked(settings, token)
    finally:
        keeper.stop([part.name])
    live = demo.live
    demo.console.print(
        f"pydantic-ai asked a function {live.calls} times in {live.runs} runs, with {live.tool_calls} tool calls; its "
        f"spans went by OTLP to {part.address} and are in Kafka",
        markup=False,
    )


def _worked(settings: Settings, token: str) -> Counted:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "METERHOUSE_"))}
    variables |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": door_address(settings),
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{token}",
    }
    argv = [sys.executable, "-m", "ingest.demo.agent"]
    ran = subprocess.run(  # noqa: S603  # a module of ours
        argv, env=variables, capture_output=True, text=True, timeout=_WITHIN_S, check=False
    )
    # The exporter logs what it could not send and goes on: an agent does not fail for its telemetry.
    if ran.returncode or "Failed to export" in ran.stderr:
        words = (ran.stderr.strip().splitlines() or ["no words"])[-1]
        raise MeterhouseError(f"The demo's agent did not get its spans to the front door: {words}")
    return msgspec.json.decode(ran.stdout, type=Counted)


def check_agent(live: Counted, client: Client, marts: str) -> Check:
    """Its calls, tokens, tools, runs and cost by the marts, against its own counts."""
    row = client.query(
        f"""
        select
            (select (sum(calls), sum(input_tokens), sum(output_tokens), toString(sum(cost_usd)))
             from {marts}.llm_daily where workspace_id = {{workspace:String}}) as llm,
            (select (sum(calls), sum(failure))
             from {marts}.tool_reliability where workspace_id = {{workspace:String}}) as tools,
            (select sum(ok_runs) from {marts}.agent_health_daily where workspace_id = {{workspace:String}}) as runs
        """,  # noqa: S608  # a name from settings
        parameters={"workspace": WORKSPACE},
    ).result_rows[0]
    (calls, inputs, outputs, cost), (tool_calls, failed), runs = row
    found = Counted(calls, inputs, outputs, Decimal(cost), tool_calls, failed, runs)
    claim = "the real agent's calls, tokens, tools, runs and cost are those it counted itself"
    return Check(claim, _words(live), _words(found))


def _words(counted: Counted) -> str:
    tokens = f"{counted.input_tokens:,} + {counted.output_tokens:,} tokens"
    tools = f"{counted.tool_calls} tool calls of which {counted.failed_tool_calls} failed"
    return f"{counted.calls} calls, {tokens}, {tools}, {counted.runs} runs, ${counted.cost_usd:.12f}"


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of its parent
        return False
