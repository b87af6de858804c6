"""What the demo found, as tables for a terminal."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from ingest.demo.checks import Check, Landed, Produced
from ingest.embedded.report import Report
from ingest.embedded.report_view import human_bytes

TOP_WORKSPACES = 5


def flow(produced: Produced, landed: Landed, landed_in_s: float, status: Report, topic: str) -> RenderableType:
    """Messages from the simulator to the tables."""
    line = next((one for one in status.topics if one.topic == topic), None)
    a_second = landed.ledger_messages / max(landed_in_s, 1e-9)
    table = Table(title="What came and what became of it", title_justify="left", show_header=False)
    table.add_row("messages produced", f"{produced.messages:,}")
    table.add_row("loaded", f"{a_second:,.0f} messages a second, joining the consumer group included")
    table.add_row("landed", f"{landed.ledger_landed:,} messages, {landed.events:,} distinct events")
    merged = landed.ledger_landed - landed.rows
    table.add_row(
        "duplicates",
        f"{landed.ledger_landed - landed.events:,} copies of an event_id: {merged:,} merged away already, "
        f"{landed.rows - landed.events:,} still beside the later one that counts",
    )
    refused = sorted(landed.refused.items(), key=lambda one: (-one[1], one[0]))
    table.add_row("rejected", f"{sum(landed.refused.values()):,} in raw.dead_letters, each with its reason")
    for error_class, count in refused:
        table.add_row(f"  {escape(error_class)}", f"{count:,}")
    if line is not None:
        table.add_row("lag", "not known" if line.lag is None else f"{line.lag:,} messages")
        if line.complete_to is not None:
            table.add_row("complete to", f"{line.complete_to:%Y-%m-%d %H:%M:%S} UTC")
    return table


def costs(landed: Landed) -> RenderableType:
    """The workspaces that reported the highest cost."""
    table = Table("workspace", "model and tool calls", "reported", title_justify="left")
    table.title = "Top costs, as the producers reported them (a call that reports none counts as none)"
    for name in ("model and tool calls", "reported"):
        next(column for column in table.columns if column.header == name).justify = "right"
    reporting = (name for name, cost in landed.costs.items() if cost)
    for workspace in sorted(reporting, key=lambda name: (-landed.costs[name], name))[:TOP_WORKSPACES]:
        table.add_row(escape(workspace), f"{landed.calls.get(workspace, 0):,}", f"${landed.costs[workspace]:,.2f}")
    return table


def tables(status: Report) -> RenderableType:
    """Every table with its rows and size."""
    table = Table("table", "rows", "on disk", title="Tables", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in status.tables:
        table.add_row(escape(one.table), f"{one.rows:,}", human_bytes(one.bytes_on_disk))
    return table


def verdict(checks: list[Check]) -> RenderableType:
    """Each claim in green, or in red with both numbers."""
    lines = [
        f"[green]✓[/] {escape(check.claim)} ({escape(check.found)})"
        if check.is_met
        else f"[bold red]✗ {escape(check.claim)}: expected {escape(check.expected)}, found {escape(check.found)}[/]"
        for check in checks
    ]
    return Group("Checks against the simulator's truth", *(f"  {line}" for line in lines))
