"""A simulation ends whole in its file or topic, or says in a sentence why not."""

from pathlib import Path

import pytest
import typer
import zstandard
from rich.console import Console
from typer.testing import CliRunner

from ingest.errors import MeterhouseError, SettingsError
from ingest.kafka import KafkaUnavailableError
from ingest.settings import load_settings
from ingest.simulate import Simulation, SimulationConfig
from ingest.simulate.command import simulate as simulate_command
from ingest.simulate.kafka_sink import KafkaSink
from ingest.simulate.play import play, requested_incidents, window_end
from ingest.simulate.sinks import FileSink, Pacer
from tests.unit.simulate.reading import END_MS

SMALL = SimulationConfig(end_ms=END_MS, events=2_000)
QUIET = Console(quiet=True)


def lines_of(config: SimulationConfig) -> bytes:
    return b"".join(chunk.lines for chunk in Simulation(config).chunks())


def test_a_compressed_file_holds_the_same_lines_as_a_plain_one(tmp_path: Path) -> None:
    play(SMALL, out=tmp_path / "a.ndjson", console=QUIET)
    play(SMALL, out=tmp_path / "a.ndjson.zst", console=QUIET)
    plain = (tmp_path / "a.ndjson").read_bytes()
    with (tmp_path / "a.ndjson.zst").open("rb") as compressed:
        assert zstandard.ZstdDecompressor().stream_reader(compressed).read() == plain == lines_of(SMALL)


def test_a_simulation_that_breaks_off_leaves_no_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text("old")
    with pytest.raises(RuntimeError), FileSink(path) as sink:  # noqa: PT012  # the context is what is tested
        sink.write(next(Simulation(SMALL).chunks()))
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MeterhouseError, match=r"Cannot write .*a\.ndjson"):
        play(SMALL, out=tmp_path / "file" / "a.ndjson", console=QUIET)


def test_a_full_disk_is_said_and_not_survived_in_silence() -> None:
    full = FileSink(Path("/dev/shm/never") / "a.ndjson")  # noqa: S108  # only its name is used
    chunk = next(Simulation(SMALL).chunks())
    with Path("/dev/full").open("wb", buffering=0) as device:
        full._file = device
        with pytest.raises(MeterhouseError, match="No space left on device"):
            full.write(chunk)


def test_an_unreachable_broker_is_a_sentence_with_its_address() -> None:
    sink = KafkaSink(load_settings(kafka_bootstrap="127.0.0.1:1"), "agent_events", connect_timeout_s=0.5)
    with pytest.raises(KafkaUnavailableError, match=r"127\.0\.0\.1:1 cannot be reached"), sink:
        pass


def test_chunks_split_without_losing_a_message() -> None:
    for chunk in Simulation(SMALL).chunks():
        parts = list(chunk.split(7))
        assert b"".join(part.lines for part in parts) == chunk.lines
        assert [value for part in parts for value in part.values] == chunk.values
        assert [key for part in parts for key in part.keys] == chunk.keys
        assert [one for part in parts for one in part.event_ids] == chunk.event_ids


def test_a_pace_is_kept_on_average_and_never_outrun() -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pacer = Pacer(1000, clock=lambda: now, sleep=sleep)
    assert pacer.step == 20
    for _ in range(100):
        pacer.wait_for(20)
        now += 0.001  # sending takes time of its own
    assert 1.97 < now < 2.0


def test_no_pace_is_no_waiting() -> None:
    def never(_seconds: float) -> None:
        raise AssertionError

    Pacer(None, sleep=never).wait_for(1_000_000)


def test_the_command_prints_what_makes_a_run_repeatable_and_writes_the_truth(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(simulate_command)
    out, truth = tmp_path / "a.ndjson", tmp_path / "truth.json"
    options = ["--events", "2000", "--start", "2026-11-17T00:00Z", "--out", str(out), "--truth", str(truth)]
    first = CliRunner().invoke(app, options)
    assert first.exit_code == 0, first.output
    assert "--seed 7 --end 2026-11-18T12:00:00Z --hours 36" in first.output
    assert "incident: provider_outage" in first.output
    assert '"by_workspace_day"' in truth.read_text()
    assert out.read_bytes() == lines_of(SMALL)


def test_start_and_end_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match="--start and --end"):
        window_end("2026-11-17T00:00Z", "2026-11-18T00:00Z", 24)
    assert window_end("2026-11-17T00:00+01:00", None, 24) == window_end(None, "2026-11-17T23:00Z", 24)


def test_incidents_can_be_none_one_of_each_or_those_named() -> None:
    assert requested_incidents(False, None) == ()
    assert len(requested_incidents(True, None)) == 4
    assert [one.kind for one in requested_incidents(True, ["slow_tool", "slow_tool:web_search"])] == ["slow_tool"] * 2


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(SettingsError, match="--rate"):
        play(SMALL, rate=0, out=Path("never"), console=QUIET)
