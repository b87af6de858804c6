"""`meterhouse migrate`: parse, connect, apply or report."""

from typing import Annotated

import typer


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the statements and run none")] = False,
    status: Annotated[bool, typer.Option("--status", help="Print where each migration stands; change nothing")] = False,
    reapply: Annotated[
        bool, typer.Option("--reapply", help="Run applied files again, after a node joined a cluster")
    ] = False,
) -> None:
    """Make or update the raw and ops tables, and set the retention; safe to run at any time."""
    from rich.console import Console
    from rich.table import Table

    from ingest.schema import migrate as migrations
    from ingest.schema.engines import Layout
    from ingest.settings import load_settings
    from ingest.warehouse import connect

    settings = load_settings()
    layout = Layout(settings.database_prefix, settings.clickhouse_cluster, settings.retention_days)
    console = Console(highlight=False, soft_wrap=True)
    client = connect(
        settings.clickhouse,
        connect_timeout_s=settings.clickhouse_connect_timeout_s,
        request_timeout_s=settings.clickhouse_request_timeout_s,
    )
    try:
        if not status:
            migrations.migrate(
                client, layout, dry_run=dry_run, reapply=reapply, say=lambda line: console.print(line, markup=False)
            )
            return
        table = Table("version", "name", "state", "applied at (UTC)")
        rows = migrations.status(client, layout)
        for row in rows:
            applied_at = f"{row.applied_at:%Y-%m-%d %H:%M:%S}" if row.applied_at else ""
            table.add_row(f"{row.version:04}", row.name, row.state, applied_at)
        console.print(table)
    finally:
        client.close()
    if any(row.state != "applied" for row in rows):
        raise typer.Exit(1)
