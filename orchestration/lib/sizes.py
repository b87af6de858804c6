"""What a run would build: the dry run's answer, in rows and bytes, and what a restatement would change."""

from typing import TYPE_CHECKING

from dagster import AssetExecutionContext

from ingest.building.dbt import project_folder
from orchestration.lib.building import Project, database_of
from orchestration.lib.price_changes import pending
from orchestration.lib.translator import PRICE_SEEDS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from ingest.settings import Settings


def log_sizes(context: AssetExecutionContext, project: Project, settings: "Settings", client: "Client") -> None:
    """A line a selected model, the largest first, and a sum."""
    nodes = [project.nodes[key] for key in context.selected_asset_keys]
    found = client.query(
        "select concat(database, '.', name), ifNull(total_rows, 0), ifNull(total_bytes, 0) from system.tables "
        "where (database, name) in {names:Array(Tuple(String, String))} order by 3 desc, 1",
        parameters={"names": [(database_of(node, settings), node.name) for node in nodes]},
    ).result_rows
    for table, rows, size in found:
        context.log.info("%s: %s rows, %s bytes", table, f"{rows:,}", f"{size:,}")
    if any(node.name in PRICE_SEEDS for node in nodes):
        context.log.info(pending(client, settings, project_folder() / "seeds").words)
    context.log.info(
        "dry run: %s models would be built, of which %s rows and %s bytes stand now; nothing was done. Set dry_run to "
        "false to do it.",
        len(nodes),
        f"{sum(row[1] for row in found):,}",
        f"{sum(row[2] for row in found):,}",
    )
