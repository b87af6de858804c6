"""The doctor on machines in several states of health: the verdict, what it saw, and what it tells to do."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.doctor.checks import CHECKS, Entry, examine
from ingest.doctor.findings import Finding, Verdict, ok
from ingest.doctor.machine import disk, home_is_writable, ports, stale_state
from ingest.doctor.services import judge_skew
from ingest.errors import MeterhouseError
from ingest.settings import Settings, load_settings
from tests.conftest import Broker
from tests.support.servers import free_port


def _settings(home: Path, **changes: object) -> Settings:
    names = ("embedded_clickhouse_port", "embedded_kafka_port", "dagster_port", "dagster_code_port")
    return load_settings(home=home, **{**{name: free_port() for name in names}, **changes})


def _by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def test_with_nothing_running_it_names_both_services_once_and_how_to_start_them(tmp_path: Path) -> None:
    found = _by_name(examine(_settings(tmp_path)))
    assert list(found) == [entry.name for entry in CHECKS]
    for name in ("clickhouse", "kafka"):
        assert found[name].verdict is Verdict.FAIL
        assert "meterhouse up" in found[name].advice
    assert found["clock"].seen == "not looked at: clickhouse failed"
    assert found["topics"].seen == "not looked at: kafka failed"
    assert found["ports"].verdict is Verdict.OK


def test_a_taken_port_fails_with_who_holds_it_and_the_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        found = ports(_settings(tmp_path, embedded_kafka_port=port))
    assert found.verdict is Verdict.FAIL
    assert f"{port} for the broker is taken by pid {os.getpid()}" in found.seen
    assert "METERHOUSE_EMBEDDED_KAFKA_PORT" in found.advice


@pytest.mark.parametrize("setting", ["dagster_port", "dagster_code_port"])
def test_a_taken_port_of_dagster_is_named_too_though_it_may_be_a_service_of_its_own(
    tmp_path: Path, setting: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        found = ports(_settings(tmp_path, **{setting: port}))
    assert found.verdict is Verdict.WARN
    assert f"is taken by pid {os.getpid()}" in found.seen
    assert f"METERHOUSE_{setting.upper()}" in found.advice


def test_ports_of_services_that_are_the_users_do_not_matter(tmp_path: Path) -> None:
    settings = _settings(tmp_path, clickhouse_url="http://db:8123", kafka_bootstrap="kafka:9092")
    found = ports(settings)
    assert found.verdict is Verdict.OK
    numbers = [words.split()[0] for words in found.seen.split(", ")]
    assert numbers == [str(settings.dagster_code_port), str(settings.dagster_port)]


def test_a_part_that_died_is_found_by_its_stale_state(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    state = tmp_path / "run" / "broker.json"
    state.parent.mkdir()
    record = {"name": "broker", "pid": gone.pid, "identity": "x", "address": "a", "argv": [], "log": "broker.log"}
    state.write_text(json.dumps({**record, "started_at": "2026-01-01T00:00:00+00:00"}))
    found = stale_state(_settings(tmp_path))
    assert found.verdict is Verdict.FAIL
    assert f"broker (pid {gone.pid}, log broker.log)" in found.seen


def test_a_home_that_is_a_file_fails_and_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = home_is_writable(_settings(tmp_path / "file" / "home"))
    assert found.verdict is Verdict.FAIL
    assert "METERHOUSE_HOME" in found.advice


@pytest.mark.parametrize(("free_gib", "verdict"), [(100, Verdict.OK), (5, Verdict.WARN), (0.5, Verdict.FAIL)])
def test_free_disk_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gib: float, verdict: Verdict
) -> None:
    usage = type("Usage", (), {"free": int(free_gib * (1 << 30)), "total": 200 << 30})
    monkeypatch.setattr("ingest.doctor.machine.shutil.disk_usage", lambda _: usage)
    assert disk(_settings(tmp_path)).verdict is verdict


@pytest.mark.parametrize(
    ("skew_s", "doubt_s", "verdict"),
    [(0.5, 0.0, Verdict.OK), (-5.0, 0.0, Verdict.WARN), (90.0, 0.1, Verdict.FAIL), (4.0, 3.0, Verdict.OK)],
)
def test_skew_is_judged_beyond_what_the_question_took(skew_s: float, doubt_s: float, verdict: Verdict) -> None:
    assert judge_skew("clock", skew_s, doubt_s).verdict is verdict


def test_a_misspelt_kafka_option_is_found_without_any_broker(tmp_path: Path) -> None:
    found = _by_name(examine(_settings(tmp_path, kafka_options={"sasl.pasword": "x"})))
    assert found["kafka options"].verdict is Verdict.FAIL
    assert "sasl.pasword" in found["kafka options"].seen
    assert found["kafka"].seen == "not looked at: kafka options failed"


def test_missing_topics_fail_with_how_to_make_them(broker: Broker, tmp_path: Path, prefix: str) -> None:
    found = _by_name(examine(_settings(tmp_path, kafka_bootstrap=broker.bootstrap, topic_prefix=prefix)))
    assert found["kafka"].verdict is Verdict.OK
    assert found["topics"].verdict is Verdict.FAIL
    assert f"{prefix}agent_events" in found["topics"].seen


def test_a_check_that_breaks_is_a_finding_and_the_rest_still_runs(tmp_path: Path) -> None:
    def breaks(_: Settings) -> Finding:
        raise ZeroDivisionError("by zero")

    def refuses(_: Settings) -> Finding:
        raise MeterhouseError("The thing at host:1 is off: switch it on.")

    entries = (Entry("a", breaks), Entry("b", refuses), Entry("c", lambda _: ok("c", "fine")))
    first, second, third = examine(_settings(tmp_path), entries)
    assert (first.verdict, first.seen) == (Verdict.FAIL, "ZeroDivisionError: by zero")
    assert (second.verdict, second.seen) == (Verdict.FAIL, "The thing at host:1 is off: switch it on.")
    assert third.verdict is Verdict.OK
