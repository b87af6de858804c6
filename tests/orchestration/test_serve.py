"""Dagster's processes find a home that opens, and runs that died with their code server hold nothing back."""

import os
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, job, op

from ingest.embedded.parts import Keeper
from ingest.embedded.processes import is_port_free
from ingest.errors import MeterhouseError
from ingest.settings import load_settings
from orchestration.lib.graphql import ask
from orchestration.parts import dagster_parts, variables
from orchestration.serve import fail_orphans, prepared
from tests.support.servers import free_port


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@job
def some_job() -> None:
    @op
    def nothing() -> None: ...

    nothing()


def test_two_processes_that_make_the_storage_at_once_leave_one_that_opens(home: Path) -> None:
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with prepared(home, 1):
                    code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    with DagsterInstance.get() as instance:
        assert instance.get_runs() == []


def test_a_run_whose_code_server_is_gone_is_failed_and_one_of_a_terminal_is_left_alone(home: Path) -> None:
    with prepared(home, 1):
        pass
    with DagsterInstance.get() as instance:
        served = {".dagster/grpc_info": "{}"}
        orphan = instance.create_run_for_job(some_job, status=DagsterRunStatus.STARTED, tags=served)
        own = instance.create_run_for_job(some_job, status=DagsterRunStatus.STARTED)
        done = instance.create_run_for_job(some_job, status=DagsterRunStatus.SUCCESS, tags=served)
        assert fail_orphans() == [orphan.run_id]
        statuses = {run.run_id: run.status for run in instance.get_runs()}
    assert statuses == {
        orphan.run_id: DagsterRunStatus.FAILURE,
        own.run_id: DagsterRunStatus.STARTED,
        done.run_id: DagsterRunStatus.SUCCESS,
    }


def test_an_installation_that_does_not_say_what_it_is_is_a_laptop_and_one_that_does_is_believed(tmp_path: Path) -> None:
    assert variables(load_settings(home=tmp_path))["METERHOUSE_ENVIRONMENT"] == "dev"
    assert variables(load_settings(home=tmp_path, environment="prod"))["METERHOUSE_ENVIRONMENT"] == "prod"


def test_a_taken_port_of_the_page_is_a_sentence_with_the_variable(tmp_path: Path) -> None:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        settings = load_settings(home=tmp_path, dagster_port=held.getsockname()[1])
        page = next(part for part in dagster_parts(settings) if part.name == "dagster-webserver")
        with pytest.raises(MeterhouseError, match=r"is taken by pid .* set METERHOUSE_DAGSTER_PORT"):
            Keeper(tmp_path).start([page])


def test_a_page_that_does_not_answer_is_a_sentence_with_its_address() -> None:
    port = free_port()
    assert is_port_free("127.0.0.1", port)
    with pytest.raises(MeterhouseError, match=f"Dagster at http://127.0.0.1:{port} did not answer"):
        ask(f"http://127.0.0.1:{port}", "{version}", dict)
