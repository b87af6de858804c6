"""The engine's clock is set back: what lands under times that lie before the last build is built all the same."""

import uuid

from tests.support.models import Event, Models


def _call(number: int, hour: str) -> Event:
    return {
        "event_id": str(uuid.UUID(int=number)),
        "event_type": "llm_call",
        "occurred_at": f"2026-11-20 {hour}:10:00.000",
        "workspace_id": "set-back",
        "run_id": "r1",
        "status": "ok",
    }


def test_what_lands_after_the_clock_was_set_back_is_in_the_next_build(models: Models) -> None:
    # Arrivals were asked for from the last build's time on: under an earlier time they were in no build, ever.
    models.land([_call(1, "08")])
    models.build("--select", "+int_agent_runs")
    # As the ledger of builds would stand if the clock had been ten minutes ahead until now.
    builds = f"{models.settings.database('ops')}.model_builds"
    models.client.command(
        f"insert into {builds} select * replace (built_to + 600000 as built_to, started_at + interval 10 minute as "
        f"started_at, built_at + interval 10 minute as built_at) from {builds}"
    )
    for number, hour in ((2, "09"), (3, "10")):
        models.land([_call(number, hour)])
        models.build("--select", "+int_agent_runs")
        calls = "intermediate.int_agent_events"
        assert models.rows(calls, "count() as calls", "workspace_id = 'set-back'") == [{"calls": number}]
