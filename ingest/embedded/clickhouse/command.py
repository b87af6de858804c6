"""`meterhouse embedded clickhouse`: parse, build, run."""

from pathlib import Path
from typing import Annotated

import typer


def clickhouse(
    path: Annotated[Path | None, typer.Option(help="Data directory; unset: clickhouse under METERHOUSE_HOME")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; unset: METERHOUSE_EMBEDDED_CLICKHOUSE_PORT", min=1, max=65535)
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address; beyond loopback only when every user has a password")
    ] = "127.0.0.1",
    users: Annotated[Path | None, typer.Option(help="Users file; unset: users.toml in the data directory")] = None,
    max_queries: Annotated[int, typer.Option(help="Queries at one time; more are refused", min=1, max=1000)] = 64,
) -> None:
    """Run the embedded ClickHouse on loopback until stopped; its data stay in the directory."""
    from ingest.embedded.clickhouse.run import serve
    from ingest.settings import load_settings

    settings = load_settings(embedded_clickhouse_port=port)
    home = path or settings.home / "clickhouse"
    serve(
        home,
        settings.embedded_clickhouse_port,
        host=host,
        users_file=users,
        max_queries=max_queries,
        say=lambda line: print(line, flush=True),
    )
