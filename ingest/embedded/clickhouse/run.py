"""Runs the embedded engine in the foreground: takes the port, then the directory, serves, and drains on SIGTERM.

MeterhouseError when the port or the directory is taken. Exit is by `os._exit` after the data are closed: chDB's threads
would otherwise be joined in an order it does not survive.
"""

import ipaddress
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ingest.embedded.clickhouse.fence import fence, forget_environment
from ingest.embedded.clickhouse.folders import make_folders
from ingest.embedded.clickhouse.owner import own
from ingest.embedded.clickhouse.users import load_users
from ingest.errors import MeterhouseError, SettingsError

# Longer than a usual insert; what then still runs is cancelled.
_DRAIN_S = 20
_CANCEL_S = 5


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, or a sentence."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise MeterhouseError(
            f"the embedded ClickHouse cannot listen on {host}:{port}: {error.strerror}; "
            "stop what holds the port or set METERHOUSE_EMBEDDED_CLICKHOUSE_PORT"
        ) from error
    return listener


def serve(
    home: Path, port: int, *, host: str, users_file: Path | None, max_queries: int, say: Callable[[str], None]
) -> None:
    """Serves until SIGTERM or SIGINT; does not return when it served."""
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError as error:
        raise SettingsError(f"--host expects an IPv4 address such as 127.0.0.1, got {host!r}") from error
    listener = listen(host, port)
    home = home.absolute()
    lock = own(home)
    users = load_users(users_file or home / "users.toml")
    if users.without_password and not address.is_loopback:
        raise SettingsError(
            f"the embedded ClickHouse listens on {host} only when every user has a password; "
            f"without one: {', '.join(users.without_password)} in {users_file or home / 'users.toml'}"
        )
    # Queries fail in a working directory that is gone, and whoever started this may remove theirs.
    os.chdir(home)
    # chDB takes its time zone from here; ClickHouse in containers says UTC.
    os.environ["TZ"] = "UTC"
    # chDB opens an empty engine in the temporary folder when it is imported.
    folders = make_folders(home)
    os.environ["TMPDIR"] = str(folders[0])
    forget_environment()
    fenced = fence(folders)
    import uvicorn

    from ingest.embedded.clickhouse.engine import Engine
    from ingest.embedded.clickhouse.server import Server
    from ingest.embedded.clickhouse.wire import Protocol

    try:
        engine = Engine(home, users.names)
    except (RuntimeError, OSError) as error:
        os.close(lock)
        raise MeterhouseError(f"the engine cannot open {home}: {str(error).splitlines()[0]}") from error

    class _Quiet(uvicorn.Server):
        """A server that a signal drains; uvicorn's own raises the signal again, and the engine would not be closed."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.handle_exit)
            yield

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            # What runs longer is told so, as by a KILL, before its connection is closed.
            cancel = threading.Timer(_DRAIN_S, app.cancel_running)
            cancel.daemon = True
            cancel.start()

    app = Server(engine, users, max_queries=max_queries)
    config = uvicorn.Config(
        app,
        http=Protocol,
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        # A little longer than what answers tell the client.
        timeout_keep_alive=33,
        timeout_graceful_shutdown=_DRAIN_S + _CANCEL_S,
    )
    say(
        f"ClickHouse {engine.version} (embedded) listens on http://{host}:{port}, "
        f"data in {engine.home}, pid {os.getpid()}; fence: {fenced}"
    )
    try:
        _Quiet(config).run(sockets=[listener])
    finally:
        app.close()
        engine.close()
        sys.stdout.flush()
        os._exit(0)
