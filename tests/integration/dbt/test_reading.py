"""What an increment reads: as much as arrived asks for, not as much as there is."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.models import Event, Models

HISTORY_DAYS, A_DAY, ARRIVED = 30, 2_000, 20
# Chain of what every build starts with, and the dearest table it feeds.
CHAIN = ("int_clock_ticks", "int_event_moves", "int_changed_hours", "int_agent_events")
READ = (
    'select extract(query, \'"node_id": "model[.][a-z_]+[.]([a-z0-9_]+)"\') as model, count(), sum(read_rows) '
    "from system.query_log where type = 'QueryFinish' and event_time_microseconds >= {since:DateTime64(6)} "
    "and has(databases, {database:String}) and model != '' group by model"
)


def _event(number: int, at: datetime, **more: object) -> Event:
    return {
        "event_id": str(uuid.UUID(int=number)), "event_type": "llm_call" if number % 3 else "tool_call",
        "occurred_at": at.strftime("%Y-%m-%d %H:%M:%S.000"), "workspace_id": f"w{number % 7}", "agent": "clerk",
        "run_id": f"r{number // 10}", "provider": "openai", "model": "gpt-5-mini", "tool_name": "search",
        "status": "ok", **more,
    }  # fmt: skip


@pytest.fixture
def history(models: Models) -> Iterator[datetime]:
    """A month that landed long ago, built; gives its end."""
    models.start_over()
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    step = timedelta(days=1) / A_DAY
    models.land(
        _event(number, end - number * step, _loaded_at=(end - number * step).strftime("%Y-%m-%d %H:%M:%S.000"))
        for number in range(1, HISTORY_DAYS * A_DAY)
    )
    models.build("-s", "+int_agent_events")
    yield end
    models.start_over()


def _increment(models: Models, end: datetime, first: int) -> dict[str, tuple[int, int]]:
    """Statements and rows read of each model of the chain, while twenty events of an hour arrive."""
    (since,) = models.client.query("select now64(6)").result_rows[0]
    models.land(_event(first + at, end + timedelta(seconds=at)) for at in range(ARRIVED))
    models.build("-s", "+int_agent_events")
    models.client.command("system flush logs")
    rows = models.client.query(
        READ, parameters={"since": since, "database": models.settings.database("intermediate")}
    ).result_rows
    return {str(model): (int(count), int(read)) for model, count, read in rows if model in CHAIN}


def test_an_increment_reads_what_arrivals_ask_for_and_no_more_of_a_month(models: Models, history: datetime) -> None:
    # 60,000 rows lie there. What looks at all of them for twenty arrivals grows with the house until it is too late.
    first = _increment(models, history, 1_000_000)
    rows = {model: read for model, (_, read) in first.items()}
    assert set(rows) == set(CHAIN)
    assert rows["int_clock_ticks"] < 100
    assert rows["int_event_moves"] < ARRIVED * 256
    assert rows["int_changed_hours"] < 10_000
    assert rows["int_agent_events"] < 15_000
    # Nor does it ask more often, the more builds there were.
    second = _increment(models, history, 2_000_000)
    assert [second[model][0] for model in CHAIN] == [first[model][0] for model in CHAIN]
