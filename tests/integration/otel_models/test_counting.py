"""What counts once and what stays two, by spans and logs made by hand: a workspace a case, one build for all.

Real libraries are in tests/real; here are the cases that no library installed here shows, or not every time.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pytest

from ingest.settings import load_settings
from ingest.warehouse import connect
from tests.conftest import drop_databases
from tests.integration.otel_models import points
from tests.integration.otel_models.unlisted import AGENT_LOGS, GEMINI_LOGS, UNLISTED
from tests.integration.otel_models.words import AGENT, AT, ID, INFERENCE, MODEL, WITHOUT_USAGE, chat
from tests.support.models import Models
from tests.support.otel_rows import Row, land, log, span
from tests.support.shared import Engine

SPANS: Final[Sequence[Row]] = [
    # Two genuine calls that look alike, at one time, by one instrumentation, and each told a second time by another.
    span("alike", "a1", AT, 1000, chat(100, 10), trace="x1", scope="one"),
    span("alike", "a2", AT + 5, 1000, chat(100, 10), trace="x2", scope="one"),
    span("alike", "b1", AT + 1, 990, INFERENCE, trace="x3", scope="two"),
    span("alike", "b2", AT + 6, 990, INFERENCE, trace="x4", scope="two"),
    # One instrumentation put on twice, within a framework and over an SDK that knows most; answered, then refused.
    *(
        row
        for at, trace, usage, known, status in (
            (AT, "x1", chat(100, 10), INFERENCE, "Ok"), (AT + 5000, "x2", MODEL, WITHOUT_USAGE, "Error")
        )
        for row in (
            span("twice", "f", at, 1000, usage, trace=trace, scope="framework", status=status),
            span("twice", "t1", at, 999, usage, trace=trace, parent="f", scope="twice", status=status),
            span("twice", "t2", at, 998, usage, trace=trace, parent="t1", scope="twice", status=status),
            span("twice", "t3", at, 998, usage, trace=trace, parent="t2", scope="twice", status=status),
            span("twice", "o", at, 997, known, trace=trace, parent="t3", scope="sdk", status=status),
        )
    ),
    # One id told three times by one instrumentation, each in a trace of its own.
    *(span("polled", "p", AT + at, 200, {**chat(100, 10), **ID}, trace=f"x{at}", scope="one") for at in (0, 40, 90)),
    # The SDK's span knows no id, the one above it does, and so does a gateway in another trace, which knows the agent.
    span("joined", "g", AT, 1000, {**chat(100, 10), **ID, "gen_ai.agent.name": "clerk"}, trace="x1", scope="gateway"),
    span("joined", "t", AT + 1, 990, {**chat(100, 10), **ID}, trace="x2", scope="one"),
    span("joined", "o", AT + 2, 980, INFERENCE, trace="x2", parent="t", scope="sdk"),
    # Ids that differ prove two calls, whatever else is equal.
    span("ids", "a1", AT, 1000, chat(100, 10, gen_ai__response__id="r1"), trace="x1", scope="one"),
    span("ids", "b1", AT + 1, 990, chat(100, 10, gen_ai__response__id="r2"), trace="x2", scope="two"),
    # One id, in traces of their own and one after the other: a gateway tells of it later.
    span("gateway", "a1", AT, 1000, {**chat(100, 10), **ID}, trace="x1", scope="one"),
    span("gateway", "b1", AT + 5000, 1, {**chat(90, 10), **ID}, trace="x2", scope="two"),
    # Same counts, but not at one time.
    span("apart", "a1", AT, 1000, chat(100, 10), trace="x1", scope="one"),
    span("apart", "b1", AT + 2000, 1000, chat(100, 10), trace="x2", scope="two"),
    # An agent that is the only one to tell usage, and one whose calls tell it, in the next hour.
    span("lone", "r", AT, 1000, {**AGENT, **chat(100, 10), "gen_ai.operation.name": "invoke_agent"}),
    span("summed", "r", AT, 3_000_000, {**chat(300, 30), **AGENT}),
    span("summed", "c1", AT + 10, 1000, chat(100, 10), parent="r"),
    span("summed", "c2", AT + 2_400_000, 1000, chat(200, 20), parent="r"),
    # A wrapper of kind LLM of one instrumentation around two calls of its own; one that is no call at all.
    span("wrapped", "w", AT, 3000, chat(300, 30), scope="one"),
    span("wrapped", "c1", AT + 1, 1000, chat(100, 10), parent="w", scope="one"),
    span("wrapped", "c2", AT + 1500, 1000, chat(200, 20), parent="w", scope="one"),
    span("nocall", "n", AT, 10, {"openinference.span.kind": "LLM"}),
    # Three attempts within one framework's call: the refused ones are calls that failed.
    span("retried", "f", AT, 9000, chat(100, 10), scope="framework"),
    span("retried", "s1", AT + 1, 100, chat(0, 0), parent="f", scope="sdk", status="Error"),
    span("retried", "s2", AT + 2000, 100, chat(0, 0), parent="f", scope="sdk", status="Error"),
    span("retried", "s3", AT + 5000, 900, chat(100, 10), parent="f", scope="sdk"),
    # One tool call told by the agent, by the MCP client and, in another service, by the MCP server.
    span("mcp", "t", AT, 100, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}),
    span("mcp", "m", AT + 1, 90, {"mcp.method.name": "tools/call", "gen_ai.tool.name": "search"}, parent="t"),
    span("mcp", "h", AT + 2, 80, {"http.request.method": "POST"}, parent="m"),
    span("mcp", "s", AT + 3, 70, {"mcp.method.name": "tools/call", "gen_ai.tool.name": "search"}, parent="h"),
    span("mcp", "l", AT + 9, 70, {"mcp.method.name": "tools/list"}),
    # Input that leaves the cache out: of one scope for one provider, and where the part exceeds the whole.
    span("excluded", "e1", AT, 10, {
        "ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "anthropic.messages",
        "ai.model.id": "claude-sonnet-4-5", "ai.usage.promptTokens": 100, "ai.usage.completionTokens": 5,
        "ai.usage.cachedInputTokens": 60,
    }, scope="ai"),
    # The next major version of the same, which says what is left without the cache.
    span("excluded", "e3", AT + 90, 10, {
        "ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "anthropic.messages",
        "ai.model.id": "claude-sonnet-4-5", "ai.usage.inputTokens": 130, "ai.usage.outputTokens": 5,
        "ai.usage.cachedInputTokens": 60, "ai.usage.inputTokenDetails.cacheReadTokens": 60,
        "ai.usage.inputTokenDetails.cacheWriteTokens": 20, "ai.usage.inputTokenDetails.noCacheTokens": 50,
    }, scope="ai"),
    span("excluded", "e2", AT + 50, 10, {**chat(20, 5), "gen_ai.usage.cache_read_input_tokens": 50}),
    # A call an hour, over eight.
    *(span("spread", "c", AT + at * 3_600_000, 10, chat(100, 10), trace=f"x{at}") for at in range(8)),
]  # fmt: skip
SPANS_OF_CYCLE: Final = [
    span("cycle", "p", AT, 10, chat(100, 10), parent="q"),
    span("cycle", "q", AT, 10, {**AGENT}, parent="p"),
]
USED: Final = {"model": "gpt-4o", "provider": "openai", "tokens_prompt": 100, "tokens_completion": 10}
LOGS: Final = [
    log("logs", AT, {"type": "run_started", "run_id": "r1", "agent": "clerk"}),
    log("logs", AT + 10, {"type": "token_usage", "run_id": "r1", "agent": "clerk", **USED}),
    log("logs", AT + 20, {"type": "tool_call", "tool": "search", "run_id": "r1", "success": False}),
    log("logs", AT + 30, {"type": "error", "error_type": "rate_limit", "run_id": "r1"}),
    log("logs", AT + 40, {"type": "run_finished", "run_id": "r1", "agent": "clerk", "success": True}),
    log("logs", AT + 50, {"type": "weather", "sky": "blue"}),
    # Written within the span that tells the same.
    log("within", AT + 900, {"type": "token_usage", **USED}, trace="x1", inside="a1"),
]


@pytest.fixture(scope="module")
def models(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    settings = load_settings(
        home=tmp_path_factory.mktemp("otel"), clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_"
    )
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    made = Models(settings, client, "")
    made.set_up()
    land(
        made, "traces", [*SPANS, *SPANS_OF_CYCLE, *UNLISTED, span("within", "a1", AT, 1000, chat(100, 10), trace="x1")]
    )
    # A copy that comes again, and a child that comes before its parent, which makes of it a roll-up.
    land(made, "traces", SPANS[:4])
    land(made, "traces", [span("late", "c", AT + 10, 1000, chat(100, 10), parent="r")])
    land(made, "logs", [*LOGS, *AGENT_LOGS, *GEMINI_LOGS])
    for kind, rows in (("histogram", points.HISTOGRAMS), ("sum", points.SUMS), ("gauge", points.GAUGES)):
        land(made, f"metrics_{kind}", rows)
    made.build(
        "--select",
        "+int_agent_events",
        "otel_metrics_hourly",
        "int_otel_points",
        "int_otel_metric_hours",
        "stg_otel__metrics",
    )
    for table, rows in points.COPIES.items():
        land(made, table, rows)
    land(made, "metrics_sum", points.LATE)
    land(made, "traces", [span("late", "r", AT, 2_000_000, {**chat(100, 10), **AGENT})])
    made.build("--select", "+int_agent_events", "otel_metrics_hourly", "int_otel_metric_hours")
    yield made
    drop_databases(settings)
    client.close()


def events(models: Models, workspace_id: str, event_type: str = "llm_call") -> list[Mapping[str, object]]:
    where = f"workspace_id = '{workspace_id}' and event_type = '{event_type}'"
    return list(models.rows("intermediate.int_agent_events", where=where))


@pytest.mark.parametrize(
    ("workspace_id", "inputs"),
    [
        ("alike", [100, 100]),
        ("twice", [0, 100]),
        ("polled", [100]),
        ("joined", [100]),
        ("ids", [100, 100]),
        ("gateway", [100]),
        ("apart", [100, 100]),
        ("lone", [100]),
        ("summed", [100, 200]),
        ("wrapped", [100, 200]),
        ("nocall", []),
        ("retried", [0, 0, 100]),
        ("excluded", [70, 130, 160]),
        ("cycle", [100]),
        ("spread", [100] * 8),
        ("logs", [100]),
        ("within", [100]),
        ("late", [100]),
        ("langfuse", [100, 300]),
        ("mlflow", [100]),
        ("litellm", [100]),
        ("vercel", [100, 200]),
        ("adk", [100]),
        ("traceloop", [80, 100]),
        ("strands", [50, 100, 160]),
        ("kernel", [100]),
        ("crewai", [100, 100]),
        ("claude", [7, 1504]),
        ("openlit", [100]),
        ("braintrust", [100]),
        ("gemini", [1000]),
    ],
)
def test_each_call_is_counted_once(models: Models, workspace_id: str, inputs: list[int]) -> None:
    assert sorted(int(str(row["input_tokens"] or 0)) for row in events(models, workspace_id)) == inputs


def test_of_two_reports_the_better_informed_counts_and_the_other_names_it(models: Models) -> None:
    rows = models.rows("intermediate.int_otel_events", where="workspace_id = 'alike'")
    counted = {row["event_id"]: row for row in rows if row["is_event"]}
    left = [row for row in rows if row["is_duplicate_usage"]]
    assert {row["scope_name"] for row in counted.values()} == {"two"}
    assert {row["twin_event_id"] for row in left} == set(counted)


def test_of_many_reports_of_one_call_one_counts_and_all_others_name_it(models: Models) -> None:
    rows = [
        row for row in models.rows("intermediate.int_otel_events", where="workspace_id = 'twice'") if row["has_usage"]
    ]
    assert len(rows) == 5
    (counted,) = [row for row in rows if row["is_event"]]
    assert counted["scope_name"] == "sdk"
    assert {row["twin_event_id"] for row in rows if row is not counted} == {counted["event_id"]}


def test_who_worked_is_taken_from_whichever_report_knows(models: Models) -> None:
    (call,) = events(models, "joined")
    assert (call["agent"], call["cache_read_tokens"]) == ("clerk", 40)


def test_hours_are_built_a_few_at_a_time_since_their_rows_are_wide(models: Models) -> None:
    # A day of a million spans in one statement was more memory than a statement has.
    models.client.command("system flush logs")
    inserts = models.client.query(
        "select count() from system.query_log where type = 'QueryFinish' and query_kind = 'Insert' "
        "and has(databases, {database:String}) and query like '%model.meterhouse.int_otel_tree\"%'",
        parameters={"database": models.settings.database("intermediate")},
    ).result_rows[0][0]
    assert inserts >= 8 / 2


def test_a_tool_call_told_by_client_and_server_is_one(models: Models) -> None:
    assert [row["tool_name"] for row in events(models, "mcp", "tool_call")] == ["search"]


def test_a_call_belongs_to_the_run_of_the_agent_above_it_also_when_that_comes_later(models: Models) -> None:
    (call,) = events(models, "late")
    (run,) = events(models, "late", "agent_run_finished")
    assert (call["agent"], call["run_id"]) == ("clerk", run["run_id"])
    assert str(run["occurred_hour"]) > str(call["occurred_hour"])


def test_logs_with_a_type_are_events(models: Models) -> None:
    kinds = ("agent_run_started", "tool_call", "error", "agent_run_finished")
    assert [len(events(models, "logs", kind)) for kind in kinds] == [1, 1, 1, 1]
    (tool,) = events(models, "logs", "tool_call")
    (run,) = events(models, "logs", "agent_run_finished")
    assert (tool["tool_name"], tool["status"], run["status"]) == ("search", "error", "ok")


@pytest.mark.parametrize(
    ("workspace_id", "outputs"),
    [
        ("adk", [35]),
        ("traceloop", [10, 35]),
        ("langfuse", [10, 10]),
        ("claude", [9, 90]),
        ("gemini", [65]),
        ("braintrust", [10]),
        ("openlit", [10]),
    ],
)
def test_thoughts_that_an_instrumentation_leaves_out_are_output(
    models: Models, workspace_id: str, outputs: list[int]
) -> None:
    assert sorted(int(str(row["output_tokens"])) for row in events(models, workspace_id)) == outputs


def test_tools_are_told_once_and_a_cost_that_was_said_is_kept(models: Models) -> None:
    assert sorted(str(row["tool_name"]) for row in events(models, "adk", "tool_call")) == ["fetch", "search"]
    assert [row["tool_name"] for row in events(models, "claude", "tool_call")] == ["Bash"]
    assert [row["tool_name"] for row in events(models, "gemini", "tool_call")] == ["read_file"]
    assert [str(row["cost_source"]) for row in events(models, "litellm") + events(models, "openlit")] == [
        "reported"
    ] * 2


@pytest.mark.parametrize(
    ("workspace_id", "model", "cached", "reasoning"),
    [
        ("langsmith", "gpt-4o", 40, 5),
        ("openlit", "gpt-4o", 40, 5),
        ("braintrust", "gpt-4o", 40, 5),
        ("gemini", "gemini-2.5-pro", 600, 25),
    ],
)
def test_cache_and_thoughts_are_read_in_each_dialect_s_own_words(
    models: Models, workspace_id: str, model: str, cached: int, reasoning: int
) -> None:
    (call,) = events(models, workspace_id)
    assert (call["model"], call["cache_read_tokens"], call["reasoning_tokens"]) == (model, cached, reasoning)


def test_a_cost_of_nothing_for_tokens_is_no_price_and_the_catalogue_has_one(models: Models) -> None:
    (call,) = events(models, "no_price")
    assert (call["cost_source"], float(str(call["cost_usd"]))) == ("catalogue", 100 * 2.5e-6 + 10 * 1e-5)


def test_what_is_known_of_usage_and_not_used_is_no_unknown_attribute(models: Models) -> None:
    rows = models.rows("intermediate.int_otel_events", where="workspace_id in ('no_price', 'vercel', 'langsmith')")
    assert {tuple(row["unknown_token_attributes"]) for row in rows} == {()}  # type: ignore[arg-type]  # a row is objects


def test_a_framework_that_names_itself_as_the_provider_is_none(models: Models) -> None:
    assert {str(row["provider"]) for row in events(models, "strands")} == {"openai", "aws"}


def test_metrics_are_added_by_the_hour_and_to_no_event(models: Models) -> None:
    rows = models.rows("marts.otel_metrics_hourly", where=f"workspace_id = '{points.WORKSPACE}'")
    found = [
        (
            row["metric_name"],
            int(str(row["hour"])[11:13]),
            row["total"],
            row["observations"],
            row["mean"],
            row["last_value"],
        )
        for row in rows
    ]
    assert sorted(found, key=str) == sorted(points.EXPECTED, key=str)
    assert {row["token_type"] for row in rows if row["metric_name"] == "gen_ai.client.token.usage"} == {"input"}
    assert models.rows("intermediate.int_agent_events", where=f"workspace_id = '{points.WORKSPACE}'") == []
