"""A Report as tables for a terminal."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from ingest.embedded.report import Report

_COLOURS = {"running": "green", "stopped": "yellow", "unhealthy": "red", "died": "red", "unreachable": "red"}


def render(report: Report) -> RenderableType:
    """Tables for a terminal."""
    parts = Table(title="Stack", title_justify="left")
    for title in ("part", "state", "pid", "address", "since (UTC)", "data", "version"):
        # A name broken in two is read as two; an address cut short is none.
        parts.add_column(title, overflow="fold", no_wrap=title in ("part", "state"))
    for part in report.parts:
        parts.add_row(
            f"{part.name} (yours)" if part.is_yours else part.name,
            f"[{_COLOURS.get(part.state, 'white')}]{part.state}[/]",
            str(part.pid or ""),
            escape(part.address),
            f"{part.since:%Y-%m-%d %H:%M:%S}" if part.since else "",
            human_bytes(part.data_bytes) if part.data_bytes is not None else "",
            part.version,
        )
    shown: list[RenderableType] = [parts]
    if report.tables:
        tables = Table("table", "rows", "on disk", title="Tables", title_justify="left")
        for one in report.tables:
            tables.add_row(escape(one.table), f"{one.rows:,}", human_bytes(one.bytes_on_disk))
        shown.append(tables)
    if report.topics:
        topics = Table(title="Topics", title_justify="left")
        for title in ("topic", "partitions", "messages", "not landed", "complete to (UTC)", "reported (UTC)"):
            topics.add_column(title, overflow="fold")
        for topic in report.topics:
            is_stream = not topic.topic.endswith(".dlq")
            topics.add_row(
                escape(topic.topic),
                str(topic.partitions),
                f"{topic.messages:,}",
                ("?" if topic.lag is None else f"{topic.lag:,}") if is_stream else "",
                f"{topic.complete_to:%Y-%m-%d %H:%M:%S}" if topic.complete_to else "",
                f"{topic.reported_at:%H:%M:%S}" if topic.reported_at else "",
            )
        shown.append(topics)
    shown += [f"[yellow]![/] {escape(problem)}" for problem in report.problems]
    unwell = [part for part in report.parts if part.state in ("died", "unhealthy")]
    shown += [f"[red]![/] {part.name} {part.state}: its log is {escape(part.log)}" for part in unwell]
    return Group(*shown)


def human_bytes(count: int) -> str:
    """1536 -> `1.5 KiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
