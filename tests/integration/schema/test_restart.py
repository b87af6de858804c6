"""What the tables' statements do to an engine that is started on them again."""

import sys
from pathlib import Path

from ingest.embedded.stack import answers_ok
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import load_settings
from ingest.warehouse import connect
from tests.support.servers import free_port, running


def test_a_database_of_ours_can_be_dropped_after_the_engine_was_killed_and_started_again(tmp_path: Path) -> None:
    """A view's with clause, read from disk, was taken for tables without a database: no drop worked."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "ingest.embedded.clickhouse", "--path", str(tmp_path / "data"), "--port", str(port)]
    address = load_settings(clickhouse_url=url).clickhouse
    with running(argv, tmp_path / "engine.log", lambda: answers_ok(f"{url}/ping")) as server:
        client = connect(address, connect_timeout_s=5, request_timeout_s=60)
        migrate(client, Layout("gone_", "", 90))
        client.close()
        server.kill()
    with running(argv, tmp_path / "engine.log", lambda: answers_ok(f"{url}/ping")):
        client = connect(address, connect_timeout_s=5, request_timeout_s=60)
        client.command("drop database gone_ops sync")
        assert client.command("select count() from system.databases where name = 'gone_ops'") == 0
        client.close()
