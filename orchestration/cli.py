"""`meterhouse alerts`: parse, ask, print. What is asked is in orchestration/lib/alerts/; Dagster need not run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from ingest.settings import Settings
    from orchestration.lib.alerts.store import Store

alerts = typer.Typer(
    name="alerts", help="Alerts: what is wrong now and was, who is told, and for how long not.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables")]
Rule = Annotated[str, typer.Option(help="Only this rule, such as burn_page")]
Workspace = Annotated[str, typer.Option(help="Only this workspace")]
Who = Annotated[str, typer.Option("--by", help="Who does it; your user name where not said", show_default=False)]


@alerts.command("current")
def show_current(as_json: AsJson = False) -> None:
    """What holds now, what people know of it, and what keeps them from being told. Exit code 0, whatever holds."""
    from orchestration.lib.alerts.reports import current
    from orchestration.lib.alerts.routes import dry_run_reason, load_routes
    from orchestration.lib.alerts.view import render_current

    with _house() as (settings, store, now):
        report = current(store, now)
        if as_json:
            _print_json(
                {
                    "alerts": report.alerts,
                    "complete_to": report.facts.complete_to,
                    "problem": report.problem,
                    "undelivered": report.undelivered,
                }
            )
            return
        dry_run = dry_run_reason(load_routes(settings.alert_routes), settings.environment)
        _print(render_current(report, now, dry_run))


@alerts.command("history")
def show_history(
    days: Annotated[float, typer.Option(help="How far back", min=0.01, max=400)] = 7,
    rule: Rule = "",
    workspace: Workspace = "",
    with_messages: Annotated[bool, typer.Option("--messages", help="Also each message and its delivery")] = False,
    as_json: AsJson = False,
) -> None:
    """Lives of alerts, the newest first: when each began, fired, was told and ended, and who took it."""
    from datetime import timedelta

    from orchestration.lib.alerts import reports
    from orchestration.lib.alerts.view import render_history

    with _house() as (_, store, now):
        since = now - timedelta(days=days)
        lives = reports.history(store, since, rule, workspace)
        sent = reports.messages(store, since) if with_messages else []
        if as_json:
            _print_json({"alerts": lives, "messages": sent})
        else:
            _print(render_history(lives, sent))


@alerts.command("silence")
def make_silence(
    reason: Annotated[str, typer.Option("--why", help="Why; whoever reads it later will want to know")],
    rule: Annotated[str, typer.Option(help="Of these rules; * and ? are wildcards")] = "",
    workspace: Annotated[str, typer.Option(help="Of these workspaces")] = "",
    subject: Annotated[str, typer.Option(help="Of these subjects")] = "",
    severity: Annotated[str, typer.Option(help="Of this severity: page, ticket or notice")] = "",
    everything: Annotated[bool, typer.Option("--everything", help="Of all there is; say so")] = False,
    lasts: Annotated[str, typer.Option("--for", help="For so long, such as 30m, 2h or 1d")] = "",
    until: Annotated[str, typer.Option(help="Or until then: 2026-12-01T08:00+01:00, UTC without an offset")] = "",
    who: Who = "",
) -> None:
    """Tell nobody of what matches, for a while. What still holds afterwards is told then; an end is told anyway."""
    from ingest.errors import MeterhouseError
    from orchestration.lib.alerts.matching import Matcher
    from orchestration.lib.alerts.silences import add

    patterns = {"rule": rule, "workspace": workspace, "subject": subject, "severity": severity}
    matcher = Matcher(**{name: (pattern,) for name, pattern in patterns.items() if pattern})
    if matcher.is_everything is not everything:
        raise MeterhouseError("Say what: --rule, --workspace, --subject or --severity; or --everything alone.")

    with _house() as (_, store, now):
        made = add(
            store, matcher, now=now, starts_at=now, ends_at=_end(now, lasts, until), reason=reason, who=who or _user()
        )
        _print(f"silence {made.silence_id} of {made.matcher} until {made.ends_at:%Y-%m-%d %H:%M} UTC")


@alerts.command("silences")
def show_silences(as_json: AsJson = False) -> None:
    """Silences that hold or will, and the maintenance windows of alert_routes.yaml."""
    from orchestration.lib.alerts.routes import load_routes
    from orchestration.lib.alerts.silences import silences
    from orchestration.lib.alerts.view import render_silences

    with _house() as (settings, store, now):
        found = silences(store, now)
        if as_json:
            _print_json({"silences": found})
        else:
            _print(render_silences(found, load_routes(settings.alert_routes), now))


@alerts.command("unsilence")
def end_silence(silence_id: Annotated[str, typer.Argument(help="Its name, from `meterhouse alerts silences`")]) -> None:
    """End a silence now; what holds is told at the next tick."""
    from ingest.errors import MeterhouseError
    from orchestration.lib.alerts.silences import end, silences

    with _house() as (_, store, now):
        found = {one.silence_id: one for one in silences(store, now)}
        if silence_id not in found:
            raise MeterhouseError(f"No silence {silence_id} holds; there are {', '.join(found) or 'none'}.")
        end(store, found[silence_id], now)
        _print(f"silence {silence_id} of {found[silence_id].matcher} has ended")


@alerts.command("acknowledge")
def take(
    rule: Annotated[str, typer.Argument(help="The rule, such as burn_page")],
    workspace: Annotated[str | None, typer.Argument(help="The workspace; all where not said")] = None,
    subject: Annotated[list[str] | None, typer.Option(help="Only these subjects; may be given several times")] = None,
    note: Annotated[str, typer.Option(help="What you are doing about it")] = "",
    who: Who = "",
) -> None:
    """Say that somebody is at it: no reminders until it worsens or ends. The end is told as ever."""
    from orchestration.lib.alerts.acknowledging import acknowledge_groups

    with _house() as (_, store, now):
        for line in acknowledge_groups(store, now, rule, workspace, subject, who or _user(), note):
            _print(line)


@alerts.command("routes")
def show_routes() -> None:
    """Check alert_routes.yaml and show it as it is understood, with the environment variables that are not set."""
    import os

    from ingest.settings import load_settings
    from orchestration.lib.alerts.routes import dry_run_reason, load_routes
    from orchestration.lib.alerts.view import render_routes

    settings = load_settings()
    routes = load_routes(settings.alert_routes)
    _print(render_routes(routes, os.environ.items(), dry_run_reason(routes, settings.environment)))


@alerts.command("test")
def try_route(
    rule: Annotated[str, typer.Option(help="As if this rule held")] = "burn_page",
    workspace: Annotated[str, typer.Option(help="In this workspace")] = "test-workspace",
    severity: Annotated[str, typer.Option(help="page, ticket or notice")] = "page",
    owner: Annotated[str, typer.Option(help="Owner; the rule's where not said")] = "",
    channel: Annotated[list[str] | None, typer.Option(help="These channels instead of the route's")] = None,
    really: Annotated[bool, typer.Option("--send", help="Send it; it says that it is a test")] = False,
) -> None:
    """Show who would be told of an alert, and how; with --send, tell them. Exit code 1 where one does not take it."""
    import os

    from ingest.settings import load_settings
    from orchestration.lib.alerts.routes import load_routes
    from orchestration.lib.alerts.trying import example_notice, send_test
    from orchestration.lib.alerts.view import render_notice

    routes = load_routes(load_settings().alert_routes)
    owner = owner or routes.owner(rule)
    names = channel or routes.channels_for(rule=rule, workspace=workspace, severity=severity, owner=owner)
    notice = example_notice(rule, workspace, severity, owner, routes)
    _print(render_notice(notice))
    _print(f"\nto {', '.join(names)} (fallback {', '.join(routes.fallback)})", markup=False)
    if not really:
        _print("not sent: say --send", markup=False)
        return
    troubles = send_test(routes, names, notice, os.environ)
    for name in names:
        _print(f"{name}: {troubles.get(name, 'taken')}", markup=False)
    if troubles:
        raise typer.Exit(1)


@contextmanager
def _house() -> "Iterator[tuple[Settings, Store, datetime]]":
    """The settings, the log, and now."""
    from datetime import UTC, datetime

    from ingest.settings import load_settings
    from ingest.warehouse import connect
    from orchestration.lib.alerts.store import Store

    settings = load_settings()
    client = connect(
        settings.clickhouse,
        connect_timeout_s=settings.clickhouse_connect_timeout_s,
        request_timeout_s=settings.clickhouse_request_timeout_s,
    )
    try:
        yield settings, Store(client, settings), datetime.now(UTC)
    finally:
        client.close()


def _end(now: "datetime", lasts: str, until: str) -> "datetime":
    """The end of a silence; raises MeterhouseError for none, both, or one that is over."""
    from datetime import UTC, datetime

    from ingest.errors import MeterhouseError

    if bool(lasts) == bool(until):
        raise MeterhouseError("Say how long: either --for 2h or --until 2026-12-01T08:00.")
    try:
        ends = now + _duration(lasts) if lasts else datetime.fromisoformat(until)
    except ValueError as error:
        raise MeterhouseError(f"{lasts or until!r} is no time: {error}.") from None
    ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
    if ends <= now:
        raise MeterhouseError(f"{ends:%Y-%m-%d %H:%M} is over: say a later moment.")
    return ends.astimezone(UTC)


def _duration(text: str) -> "timedelta":
    from orchestration.lib.alerts.routes_schema import duration

    return duration(text)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def _print(shown: object, *, markup: bool = True) -> None:
    from rich.console import Console

    Console(highlight=False, soft_wrap=isinstance(shown, str)).print(shown, markup=markup)


def _print_json(value: object) -> None:
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
