"""Where a demo runs: settings, ports and folders that disturb nothing else.

In: the user's settings. Out: settings of the demo: a home of its own, free ports, empty tables. On a ClickHouse
or Kafka of the user's it takes names of its own instead. What it has not made it neither deletes nor fills: that
raises MeterhouseError.
"""

import os
import shutil
import socket
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from ingest.embedded.clickhouse.owner import own
from ingest.embedded.parts import Keeper, Say
from ingest.embedded.stack import data_folder
from ingest.errors import MeterhouseError
from ingest.settings import Settings, load_settings

MARKER = "made-by-demo"
_PORTS = ("embedded_clickhouse_port", "embedded_kafka_port", "api_port", "api_grpc_port")


def demo_settings(given: Settings, now: datetime | None = None) -> Settings:
    """What was set stays; the rest is chosen so that a running `meterhouse up` or loader is not touched."""
    chosen: dict[str, object] = {"agent_event_topics": ("agent_events",)}
    if "home" not in given.model_fields_set:
        chosen["home"] = given.home / "demo"
    open_ports = [name for name in _PORTS if name not in given.model_fields_set]
    chosen |= dict(zip(open_ports, free_ports(len(open_ports)), strict=True))
    if "metrics_port" not in given.model_fields_set:
        chosen["metrics_port"] = 0
    own_name = f"demo_{now or datetime.now(UTC):%Y%m%d_%H%M%S}_"
    if not given.is_clickhouse_embedded and not given.database_prefix:
        chosen["database_prefix"] = own_name
    if not given.is_kafka_embedded:
        chosen["consumer_group"] = f"{own_name}loader"
        if not given.topic_prefix:
            chosen["topic_prefix"] = own_name
    return load_settings(**{**{name: getattr(given, name) for name in given.model_fields_set}, **chosen})


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody holds now, all different."""
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]


def clear_ground(settings: Settings, say: Say) -> None:
    """Takes the home for this demo; the data of the demo before goes, any other is left alone and stops this one."""
    home, data = settings.home, data_folder(settings)
    keeper = Keeper(home, say)
    alive = [part for part in keeper.remembered().values() if keeper.is_alive(part)]
    if alive:
        names = " and ".join(f"{part.name} (pid {part.pid})" for part in alive)
        raise MeterhouseError(
            f"In {home} there runs {names}, so the demo cannot start from empty tables: "
            f"`METERHOUSE_HOME={home} meterhouse down`, then run the demo again."
        )
    marker = home / MARKER
    try:
        if settings.is_clickhouse_embedded and data.exists() and any(data.iterdir()):
            if not marker.exists():
                raise MeterhouseError(
                    f"{data} holds data that no demo made, and the demo starts from empty tables: "
                    "unset METERHOUSE_HOME or name a folder for the demo."
                )
            say(f"the data of the demo before ({_age(marker)}) is removed: this one starts from empty tables")
            lock = own(data)  # an engine started by hand on this folder keeps it
            try:
                shutil.rmtree(data)
            finally:
                os.close(lock)
        home.mkdir(parents=True, exist_ok=True)
        marker.write_text("`meterhouse demo` may remove the data beside this file.\n")
    except OSError as error:
        raise MeterhouseError(
            f"The demo cannot use {error.filename or home} ({error.strerror}): set METERHOUSE_HOME to a folder that "
            "can be written."
        ) from error


def _age(marker: Path) -> str:
    return f"of {datetime.fromtimestamp(marker.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC"
