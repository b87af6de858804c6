"""A run's rows against a real engine: however many pieces they go in, one part a month and one token."""

import uuid

from clickhouse_connect.driver.client import Client

from ingest.contracts.outcome import EventLimits
from ingest.loader.clock import SYSTEM_CLOCK
from ingest.loader.decode import PIECE_EVENTS, AgentEventDecoder
from ingest.loader.run import Claim, Messages, Run, Source, Stream
from ingest.loader.sending import Sending, with_origin
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings
from tests.unit.contracts.events import payload


def test_a_run_of_several_pieces_is_one_part_and_lands_once(settings: Settings, warehouse: Client) -> None:
    migrate(warehouse, Layout(settings.database_prefix, "", settings.retention_days), say=lambda _: None)
    table, now_ms = f"{settings.database('raw')}.agent_events", SYSTEM_CLOCK.now_ms()
    decoder = AgentEventDecoder(EventLimits())
    source = Source("agent_events", uuid.uuid4().hex, 0)
    stream = Stream("agent_events", source.topic, "agent_events.dlq", table, decoder)
    # The optional fields of one event only: a column may have its first value, or null, in any piece.
    full = payload(occurred_at=now_ms, event_id=str(uuid.uuid4()), latency_ms=5)
    bare = b'{"event_id":"%s","event_type":"error","occurred_at":%d,"workspace_id":"acme"}'
    values: list[bytes | None] = [bare % (str(uuid.uuid4()).encode(), now_ms) for _ in range(2 * PIECE_EVENTS)]
    values += [full]
    count = len(values)
    messages = Messages(list(range(count)), values, [None] * count, [now_ms] * count)
    run = Run(source, 0, count - 1)
    rows = with_origin(run, messages, decoder.decode(values, now_ms))
    assert len(rows.to_batches()) == 3
    sending = Sending(warehouse, stream, Claim(run, now_ms, "test"), is_redo=False)
    warehouse.command(f"system stop merges {table}")
    for _ in range(2):
        sending.send(run, rows, 0)
    parts = warehouse.query(
        f"select rows from system.parts where database || '.' || table = '{table.replace('`', '')}' and active"
    ).result_rows
    assert parts == [(count,)]
    landed = warehouse.query(f"select sum(_offset), countIf(isNull(latency_ms)) from {table}").result_rows
    assert landed == [(count * (count - 1) // 2, count - 1)]
