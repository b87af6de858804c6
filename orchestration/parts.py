"""Dagster's processes as parts of the stack, for `meterhouse up` by the entry point group `meterhouse.parts`.

In: Settings. Out: three Parts: the code server, which alone holds the definitions; the webserver, which is the page;
and the daemon, which ticks schedules and sensors and starts runs. All on loopback, their state in <home>/dagster.
Dagster is not imported here, since `status` asks too and it takes seconds.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from ingest.embedded.parts import Part
from ingest.embedded.stack import answers_ok, environment
from ingest.errors import MeterhouseError
from ingest.settings import Settings
from orchestration.lib.graphql import ask
from orchestration.serve import HOST

# The daemon reports every 30 s.
_BEATS_WITHIN_S: Final = 120.0
_BEATS: Final = "{instance {daemonHealth {allDaemonStatuses {required lastHeartbeatTime}}}}"


class _Beat(msgspec.Struct, rename="camel"):
    required: bool
    last_heartbeat_time: float | None


class _Health(msgspec.Struct, rename="camel"):
    all_daemon_statuses: list[_Beat]


class _Instance(msgspec.Struct, rename="camel"):
    daemon_health: _Health


class _Beats(msgspec.Struct):
    instance: _Instance


def dagster_home(settings: Settings) -> Path:
    """Where Dagster remembers runs, materializations and ticks."""
    return settings.home.absolute() / "dagster"


def page(settings: Settings) -> str:
    """The address people open."""
    return f"http://{HOST}:{settings.dagster_port}"


def variables(settings: Settings) -> dict[str, str]:
    """What a process of Dagster reads. An installation that does not say what it is, is a laptop."""
    given = {"METERHOUSE_ENVIRONMENT": "dev", **environment(settings)}
    return given | {
        "DAGSTER_HOME": str(dagster_home(settings)),
        # A run that loads its definitions for longer, on a busy machine, would be called failed and begin all the same.
        "DAGSTER_GRPC_TIMEOUT_SECONDS": "180",
        "PYTHONUNBUFFERED": "1",
    }


def dagster_parts(settings: Settings) -> list[Part]:
    """In the order in which they start: the page and the daemon ask the code server."""
    address = page(settings)
    return [
        _part(
            settings,
            "code",
            f"{HOST}:{settings.dagster_code_port}",
            lambda: _answers_grpc(f"{HOST}:{settings.dagster_code_port}"),
            settings.dagster_code_port,
            "METERHOUSE_DAGSTER_CODE_PORT",
        ),
        _part(
            settings,
            "webserver",
            address,
            lambda: answers_ok(f"{address}/server_info"),
            settings.dagster_port,
            "METERHOUSE_DAGSTER_PORT",
        ),
        _part(settings, "daemon", str(dagster_home(settings)), lambda: _beats(address)),
    ]


def _part(
    settings: Settings,
    role: str,
    address: str,
    is_healthy: Callable[[], bool],
    port: int | None = None,
    port_variable: str = "",
) -> Part:
    return Part(
        name=f"dagster-{role}",
        argv=(sys.executable, "-m", "orchestration.serve", role),
        address=address,
        is_healthy=is_healthy,
        host=HOST,
        port=port,
        port_variable=port_variable,
        env=variables(settings),
        # The first start parses the dbt project and makes Dagster's storage: 15 s, minutes on a machine that is busy.
        ready_within_s=300.0,
    )


def _answers_grpc(address: str, timeout_s: float = 2.0) -> bool:
    """Whether the code server answers a ping, which it does once the definitions are loaded."""
    import grpc  # type: ignore[import-untyped,unused-ignore]  # its stubs are not in the lock

    with grpc.insecure_channel(address) as channel:
        ping = channel.unary_unary("/api.DagsterApi/Ping", request_serializer=bytes, response_deserializer=bytes)
        try:
            ping(b"", timeout=timeout_s)
        except grpc.RpcError:
            return False
    return True


def _beats(address: str) -> bool:
    """Whether every daemon that should run has reported lately. Yes where no page answers: its process lives."""
    try:
        statuses = ask(address, _BEATS, _Beats, timeout_s=2.0).instance.daemon_health.all_daemon_statuses
    except MeterhouseError:
        return True
    oldest = time.time() - _BEATS_WITHIN_S
    return all((one.last_heartbeat_time or 0.0) > oldest for one in statuses if one.required)
