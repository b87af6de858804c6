"""Reports about alerts as tables for a terminal. Names are producers' own: they are escaped, never taken for markup."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from orchestration.lib.alerts.channels import missing_variables
from orchestration.lib.alerts.matching import Silence
from orchestration.lib.alerts.notice import Notice, as_text, moment
from orchestration.lib.alerts.reports import Current, OpenAlert, PastAlert, SentMessage
from orchestration.lib.alerts.routes import Routes
from orchestration.lib.alerts.rules import span

_COLOURS = {"page": "red", "ticket": "yellow", "notice": "cyan"}
_STANDS = {"delivered": "green", "dry_run": "cyan", "failed": "red", "unknown": "yellow", "given_up": "bold red"}


def render_current(report: Current, now: datetime, dry_run: str) -> RenderableType:
    """Open alerts, the worst first, and below what keeps people from hearing of them."""
    shown: list[RenderableType] = []
    if report.alerts:
        table = _table("", "state", "rule", "workspace", "subject", "how bad", "since (UTC)", "for", "people")
        for one in report.alerts:
            table.add_row(
                _severity(one.severity), one.state, escape(one.rule_id), escape(one.workspace_id or "(all)"),
                escape(one.subject), escape(one.says), f"{one.since:%m-%d %H:%M}",
                span(max((now - one.since).total_seconds(), 0)), escape(_people(one)),
            )  # fmt: skip
        shown.append(table)
    elif not report.problem:
        shown.append("[green]No alert holds.[/]")
    if report.problem:
        shown.append(f"[yellow]![/] nothing is judged: {escape(report.problem)}")
    elif report.facts.complete_to is None:
        shown.append("[yellow]![/] how far data is complete is not known: nothing new is judged (`meterhouse doctor`)")
    else:
        behind = span(max((now - report.facts.complete_to).total_seconds(), 0))
        shown.append(f"data complete to {moment(report.facts.complete_to)}, {behind} ago: later hours wait")
    if report.silences:
        shown.append(f"{len(report.silences)} silences hold or will: `meterhouse alerts silences`")
    for message in report.undelivered[:5]:
        stands = ", ".join(f"{name} {outcome}" for name, outcome in message.channels.items() if outcome != "delivered")
        shown.append(f"[red]![/] not delivered: {escape(message.title)} ({escape(stands)})")
    if dry_run:
        shown.append(f"[cyan]{escape(dry_run)}[/]")
    return Group(*shown)


def render_history(lives: Sequence[PastAlert], messages: Sequence[SentMessage]) -> RenderableType:
    """Lives, the newest first, and the messages about them."""
    if not lives and not messages:
        return "No alert in that time."
    table = _table(
        "", "state", "rule", "workspace", "subject", "last seen as", "since (UTC)", "over (UTC)", "messages", "by"
    )  # fmt: skip
    for one in lives:
        table.add_row(
            _severity(one.severity), one.state, escape(one.rule_id), escape(one.workspace_id or "(all)"),
            escape(one.subject), escape(one.says), f"{one.since:%m-%d %H:%M}",
            f"{one.ended_at:%m-%d %H:%M}" if one.ended_at else "", str(one.messages),
            escape(f"{one.acknowledged_by} {one.note}".strip()),
        )  # fmt: skip
    shown: list[RenderableType] = [table]
    if messages:
        sent = _table("at (UTC)", "kind", "message", "delivery")
        for message in messages:
            stands = ", ".join(
                f"{escape(name)} [{_STANDS.get(one, 'white')}]{one}[/]" for name, one in message.channels.items()
            )
            sent.add_row(f"{message.at:%m-%d %H:%M:%S}", message.kind, escape(message.title), stands)
        shown.append(sent)
    return Group(*shown)


def render_silences(found: Sequence[Silence], routes: Routes, now: datetime) -> RenderableType:
    """Silences, and the maintenance windows of the file."""
    if not found and not routes.maintenance:
        return "Nothing is silenced, and no maintenance window is set."
    table = _table("silence", "of", "from (UTC)", "to (UTC)", "holds", "why", "by")
    for one in found:
        table.add_row(
            one.silence_id, escape(str(one.matcher)), f"{one.starts_at:%m-%d %H:%M}", f"{one.ends_at:%m-%d %H:%M}",
            _yes(one.holds(now)), escape(one.reason), escape(one.created_by),
        )  # fmt: skip
    for window in routes.maintenance:
        start = f"{window.start:%m-%d %H:%M}" if window.start else f"{window.at:%H:%M} {window.zone.key}"
        end = f"{window.end:%m-%d %H:%M}" if window.end else span(window.long.total_seconds())
        table.add_row(
            "(window)", escape(str(window.matcher)), start, end, _yes(window.holds(now)), escape(window.name),
            escape(routes.source),
        )  # fmt: skip
    return table


def render_routes(routes: Routes, environ: "Iterable[tuple[str, str]]", dry_run: str) -> RenderableType:
    """The file as it is understood, with the variables that are not set."""
    missing = missing_variables(routes, dict(environ))
    channels = _table("channel", "kind", "lacks")
    for name, options in routes.channels.items():
        kind = type(options).__name__.removesuffix("Channel").lower()
        lacking = ", ".join(missing.get(name, ()))
        channels.add_row(escape(name), kind, f"[red]{lacking}[/]" if lacking else "")
    ways = _table("", "owner", "rule", "workspace", "severity", "to")
    for number, route in enumerate(routes.routes, 1):
        matcher = route.matcher
        cells = (" or ".join(one) or "*" for one in (matcher.owner, matcher.rule, matcher.workspace, matcher.severity))
        onward = " and on" if route.goes_on else ""
        ways.add_row(str(number), *(escape(cell) for cell in cells), escape(", ".join(route.channels) + onward))
    said = f"what is not taken goes to {', '.join(routes.fallback)}"
    return Group(channels, ways, escape(said), f"[cyan]{escape(dry_run)}[/]" if dry_run else "messages leave the house")


def render_notice(notice: Notice) -> RenderableType:
    """A message as mail shows it."""
    return escape(f"{notice.title}\n\n{as_text(notice)}")


def _people(one: OpenAlert) -> str:
    """What people know of it."""
    if one.acknowledged_by:
        return f"acknowledged by {one.acknowledged_by}{f': {one.note}' if one.note else ''}"
    if one.waits_for:
        return f"waits for {one.waits_for}" if one.told_at is None else f"told; then {one.waits_for}"
    told = f"told {one.told_at:%H:%M}" if one.told_at else "not told yet"
    return f"{told}; not seen any more" if one.is_quiet else told


def _severity(severity: str) -> str:
    return f"[{_COLOURS.get(severity, 'white')}]{severity}[/]"


def _yes(holds: bool) -> str:
    return "[yellow]now[/]" if holds else "no"


def _table(*columns: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")  # a name cut short is none
    return table
