"""What is said of each raw table when the loader's ledger is read by topic."""

from datetime import UTC, datetime, timedelta

from dagster import AssetKey

from ingest.settings import load_settings
from orchestration.lib.arrivals import Landed, Partition
from orchestration.lib.raw_tables import DEAD_LETTERS, EVENTS, OTLP, said_of, specs

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SPANS = AssetKey(["raw", "otel_traces"])


def partition(topic: str, lag: int, behind_s: int) -> Partition:
    return Partition(topic, "id", 0, 100, lag, NOW - timedelta(seconds=behind_s), NOW)


def test_spans_that_landed_are_not_counted_as_events() -> None:
    settings = load_settings(topic_prefix="t_")
    said = said_of(
        settings,
        [partition("t_agent_events", 3, 60), partition("t_otlp_traces", 5, 20)],
        {"t_agent_events": Landed(rows=70, rejected=2, messages=72), "t_otlp_traces": Landed(rows=900, rejected=1)},
        NOW,
    )
    assert (said[EVENTS]["rows_landed"], said[EVENTS]["lag_messages"], said[EVENTS]["behind_s"]) == (70, 3, 60.0)
    assert (said[SPANS]["rows_landed"], said[SPANS]["lag_messages"], said[SPANS]["behind_s"]) == (900, 5, 20.0)
    # Dead letters come from every topic.
    assert (said[DEAD_LETTERS]["rows_landed"], said[DEAD_LETTERS]["lag_messages"]) == (3, 8)
    assert set(said) == {EVENTS, DEAD_LETTERS, SPANS}


def test_a_table_that_nobody_writes_to_is_an_asset_and_never_late() -> None:
    found = {spec.key: spec for spec in specs()}
    assert set(found) == {EVENTS, DEAD_LETTERS, *OTLP}
    assert [key for key in found if found[key].freshness_policy is None] == list(OTLP)
