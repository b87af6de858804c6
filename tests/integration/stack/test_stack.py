"""`up`, `status`, `down` with the real engine and broker: repeatable, honest about what runs, clean after."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.doctor.checks import examine
from ingest.doctor.findings import Verdict
from ingest.embedded import processes
from ingest.embedded.parts import Part
from ingest.embedded.processes import METERHOUSE
from ingest.embedded.report import collect
from ingest.embedded.stack import TOPICS, Stack, environment
from ingest.errors import MeterhouseError
from ingest.kafka import KafkaAdmin
from ingest.settings import Settings, load_settings
from ingest.warehouse import connect
from tests.conftest import Broker
from tests.support.servers import free_port
from tests.support.shared import Engine
from tests.support.topics import Sent, produce


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    """Settings whose stack is the test's own."""
    return load_settings(
        home=tmp_path / "home", embedded_clickhouse_port=free_port(), embedded_kafka_port=free_port(), metrics_port=0
    )


@pytest.fixture
def stack(own: Settings) -> Iterator[Stack]:
    made = Stack(own)
    yield made
    made.down()


def _states(settings: Settings) -> dict[str, str]:
    return {part.name: part.state for part in collect(settings).parts}


def test_up_brings_tables_and_topics_and_a_second_up_changes_nothing(stack: Stack, own: Settings) -> None:
    assert stack.up() == ["engine", "broker"]
    before = [(state.name, state.pid) for state in stack.states()]
    assert Stack(own).up() == []
    assert [(state.name, state.pid) for state in stack.states()] == before
    report = collect(own)
    assert report.is_well
    assert report.problems == []
    assert {"raw.agent_events", "raw.dead_letters", "ops.load_progress"} <= {table.table for table in report.tables}
    streams = ("agent_events", "otlp_traces", "otlp_logs", "otlp_metrics")
    assert [topic.topic for topic in report.topics] == [f"{one}{end}" for one in streams for end in ("", ".dlq")]
    assert [topic.partitions for topic in report.topics] == [3] * 8


def test_down_frees_ports_and_keeps_the_data_for_the_next_up(stack: Stack, own: Settings) -> None:
    stack.up()
    client = connect(own.clickhouse, connect_timeout_s=5, request_timeout_s=20)
    client.command("create table raw.kept (a UInt8) engine = MergeTree order by a")
    client.command("insert into raw.kept values (7)")
    client.close()
    assert sorted(stack.down()) == ["broker", "engine"]
    assert stack.down() == []
    for port in (own.embedded_clickhouse_port, own.embedded_kafka_port):
        assert processes.wait_port_free("127.0.0.1", port), processes.port_owner(port)
    assert _states(own) == {"engine": "stopped", "broker": "stopped"}
    stack.up()
    client = connect(own.clickhouse, connect_timeout_s=5, request_timeout_s=20)
    assert client.query("select a from raw.kept").result_rows == [(7,)]
    client.close()


def test_a_killed_part_shows_in_status_and_doctor_and_the_next_up_mends_it(stack: Stack, own: Settings) -> None:
    stack.up()
    pid = next(state.pid for state in stack.states() if state.name == "broker")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    report = collect(own)
    assert {part.name: part.state for part in report.parts} == {"engine": "running", "broker": "died"}
    assert not report.is_well
    found = {finding.check: finding for finding in examine(own)}
    assert found["state"].verdict is Verdict.FAIL
    assert "broker" in found["state"].seen
    assert stack.up() == ["broker"]
    assert collect(own).is_well


def test_the_doctor_is_content_with_a_stack_that_is_up(stack: Stack, own: Settings) -> None:
    stack.up()
    unwell = [finding for finding in examine(own) if finding.verdict is Verdict.FAIL]
    assert unwell == []


def test_the_stack_as_a_context_stops_what_it_started_and_nothing_else(stack: Stack, own: Settings) -> None:
    with Stack(own):
        assert _states(own) == {"engine": "running", "broker": "running"}
    assert _states(own) == {"engine": "stopped", "broker": "stopped"}
    stack.up()
    with Stack(own):
        pass
    assert _states(own) == {"engine": "running", "broker": "running"}


def test_what_the_user_has_elsewhere_is_not_started_but_gets_tables_and_topics(settings: Settings, prefix: str) -> None:
    stack = Stack(settings)
    assert stack.parts == ()
    assert stack.up() == []
    report = collect(settings)
    assert {part.name: part.is_yours for part in report.parts} == {"clickhouse": True, "kafka": True}
    assert report.is_well
    assert f"{prefix}raw.agent_events" in {table.table for table in report.tables}
    assert [topic.topic for topic in report.topics] == [f"{prefix}{topic}" for topic in TOPICS]


def test_lag_counts_what_has_not_landed_of_this_very_topic(settings: Settings) -> None:
    Stack(settings).up()
    topic = settings.topic("agent_events")
    produce(settings.bootstrap, topic, [Sent(b"{}", number % 3) for number in range(30)])
    with KafkaAdmin(settings.bootstrap, {}) as admin:
        topic_id = admin.describe([topic])[topic].topic_id
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=20)
    columns = ["topic", "partition", "topic_id", "next_offset", "low_watermark", "high_watermark", "lag", "owner"]
    columns += ["partition_count", "complete_to"]
    now = datetime.now(UTC).replace(microsecond=0)
    rows = [
        [topic, 0, str(topic_id), 10, 0, 10, 0, "test", 3, now],
        [topic, 1, str(topic_id), 4, 0, 10, 6, "test", 3, now],
        [topic, 2, "another-topic-of-that-name", 10, 0, 10, 0, "test", 3, now],
    ]
    client.insert(f"{settings.database('ops')}.load_progress", rows, column_names=columns)
    client.close()
    line = next(line for line in collect(settings).topics if line.topic == topic)
    assert (line.messages, line.lag) == (30, 0 + 6 + 10)
    assert line.complete_to is None  # a partition has not reported, so nothing is known to be complete


def test_down_says_how_much_of_the_brokers_memory_had_not_landed(own: Settings) -> None:
    said: list[str] = []
    stack = Stack(own, say=said.append)
    stack.up()
    produce(own.bootstrap, "agent_events", [Sent(b"{}")] * 1_200)
    produce(own.bootstrap, "otlp_logs", [Sent(b"")] * 3)
    said.clear()
    stack.down()
    assert said[0].startswith("1,200 of 1,200 messages of agent_events had not landed")
    assert said[1].startswith("3 of 3 messages of otlp_logs had not landed")


def test_lag_is_unknown_and_not_everything_while_clickhouse_is_away(broker: Broker, own: Settings, prefix: str) -> None:
    settings = own.model_copy(update={"kafka_bootstrap": broker.bootstrap, "topic_prefix": prefix})
    Stack(settings).ensure_topics()
    produce(broker.bootstrap, settings.topic("agent_events"), [Sent(b"{}")] * 5)
    report = collect(settings)
    assert {part.name: part.state for part in report.parts} == {"engine": "stopped", "kafka": "running"}
    assert [(line.messages, line.lag) for line in report.topics] == [(5, None)] + [(0, None)] * 7


def test_when_the_tables_cannot_be_made_nothing_is_left_running(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Stack) -> None:
        raise MeterhouseError("no tables today")

    monkeypatch.setattr(Stack, "migrate", refuse)
    with pytest.raises(MeterhouseError, match="no tables today"):
        Stack(own).up()
    assert _states(own) == {"engine": "stopped", "broker": "stopped"}


def test_an_extra_part_starts_after_the_topics_are_there_and_stops_first(own: Settings, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from ingest.kafka import KafkaAdmin\n"
        "with KafkaAdmin(sys.argv[1], {}) as admin:\n"
        "    pathlib.Path(sys.argv[2]).write_text(' '.join(admin.cluster().topics))\n"
        "import time; time.sleep(60)\n"
    )
    seen, said = tmp_path / "seen", list[str]()
    extra = Part("extra", (sys.executable, "-c", code, own.bootstrap, str(seen)), "nowhere", seen.exists)
    with Stack(own, say=said.append, extra=[extra]):
        assert set(seen.read_text().split()) == set(TOPICS)
        said.clear()
    assert [line.split(" ")[0] for line in said] == ["extra", "broker", "engine"]


def test_the_commands_outlive_their_shell_and_say_how_it_is(own: Settings) -> None:
    env = {
        **os.environ,
        "METERHOUSE_HOME": str(own.home),
        "METERHOUSE_EMBEDDED_CLICKHOUSE_PORT": str(own.embedded_clickhouse_port),
        "METERHOUSE_EMBEDDED_KAFKA_PORT": str(own.embedded_kafka_port),
        "METERHOUSE_METRICS_PORT": str(free_port()),
        "METERHOUSE_API_PORT": str(door_port := free_port()),
        "METERHOUSE_API_GRPC_PORT": str(free_port()),
    }

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        argv = [*METERHOUSE, *command]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=120)

    try:
        up = run("up", "--without", "dagster")
        assert up.returncode == 0, up.stderr
        status = run("status", "--json")
        assert status.returncode == 0, status.stderr
        report = json.loads(status.stdout)
        assert report["is_well"] is True
        assert [part["name"] for part in report["parts"]] == ["engine", "broker", "loader", "door"]
        doctor = run("doctor", "--json")
        assert doctor.returncode == 0, doctor.stdout
        assert f"takes events and OTLP at http://127.0.0.1:{door_port}, 1 keys" in doctor.stdout
        variables = own.home / "door" / "default.env"
        assert f"front door: http://127.0.0.1:{door_port}; `. {variables}`" in up.stdout
        private = [variables, own.home / "door" / "keys.json"]
        assert [file.stat().st_mode & 0o777 for file in private] == [0o600, 0o600]
    finally:
        down = run("down")
    assert down.returncode == 0, down.stderr
    assert run("status").returncode == 1
    assert run("down").stdout.strip() == "nothing was running"


def test_session_servers_are_what_settings_say(engine: Engine, broker: Broker, settings: Settings) -> None:
    assert settings.clickhouse.port == int(engine.url.rpartition(":")[2])
    assert settings.bootstrap == broker.bootstrap


def test_a_parts_environment_gives_it_the_very_same_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"agent_event_topics": ("one", "two")})
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings
