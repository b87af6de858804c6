"""`meterhouse replay`: parses the options, connects, sends messages back through the front, prints the account.

Nothing is written to a raw table here: the loader lands what is sent, once. Exit code 0 also when nothing matches.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.embedded.processes import METERHOUSE

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from rich.console import Console

    from ingest.settings import Settings

replay = typer.Typer(
    help="Send messages through the front again: dead letters after a fix, a range of offsets, a file.",
    no_args_is_help=True,
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Count what would be sent and send nothing")]
Load = Annotated[bool, typer.Option("--load", help="Land it at once: run `meterhouse load --drain` afterwards")]


@replay.command("dead-letters")
def dead_letters(
    reason: Annotated[str | None, typer.Option(help="Only where the reason contains this")] = None,
    error_class: Annotated[str | None, typer.Option(help="Only this error class, such as outside_time_window")] = None,
    since: Annotated[str | None, typer.Option(help="Refused since: 2026-11-23T10:00Z, or 90m, 2h, 3d ago")] = None,
    until: Annotated[str | None, typer.Option(help="Refused before; the same spellings")] = None,
    topic: Annotated[str | None, typer.Option(help="Only those of this topic")] = None,
    workspace: Annotated[str | None, typer.Option(help="Only those of this workspace_id")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many, in order of topic, partition, offset")] = None,
    dry_run: DryRun = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were replayed before")] = False,
    load: Load = False,
) -> None:
    """Send dead letters back to their topic, and note them as replayed."""
    from ingest.loader.clock import SYSTEM_CLOCK
    from ingest.loader.replay import conclude, parse_when
    from ingest.loader.replay_dead_letters import DeadLetterFilter, DeadLetterReplay

    now_ms = SYSTEM_CLOCK.now_ms()
    wanted = DeadLetterFilter(
        reason=reason,
        error_class=error_class,
        since_ms=None if since is None else parse_when(since, "--since", now_ms),
        until_ms=None if until is None else parse_when(until, "--until", now_ms),
        topic=topic,
        workspace=workspace,
        limit=limit,
        again=again,
    )
    with _ready() as (settings, client, console):
        tally = DeadLetterReplay(settings, client, wanted).run(console, dry_run=dry_run)
        conclude(console, tally, "among the dead letters that were not replayed before", dry_run=dry_run, load=load)
    _land(load and not dry_run and tally.sent > 0)


@replay.command("range")
def replay_range(
    partition: Annotated[int, typer.Option(help="Partition of the topic")],
    first: Annotated[int, typer.Option("--from", help="First offset")],
    end: Annotated[int, typer.Option("--to", help="First offset that is not replayed")],
    topic: Annotated[str | None, typer.Option(help="Topic; default: the first of the loader's")] = None,
    dry_run: DryRun = False,
    load: Load = False,
) -> None:
    """Send again what lies between two offsets and is not in raw.agent_events."""
    from ingest.loader.replay import conclude
    from ingest.loader.replay_range import OffsetRange, RangeReplay

    wanted = OffsetRange(topic, partition, first, end)
    with _ready() as (settings, client, console):
        tally = RangeReplay(settings, client, wanted).run(console, dry_run=dry_run)
        conclude(console, tally, f"in offsets {first} to {end}", dry_run=dry_run, load=load)
    _land(load and not dry_run and tally.sent > 0)


@replay.command("from-file")
def from_file(
    file: Annotated[Path, typer.Argument(help="Events: .ndjson or .jsonl, also with .zst, or .parquet")],
    topic: Annotated[str | None, typer.Option(help="Topic; default: the first of the loader's")] = None,
    dry_run: DryRun = False,
    load: Load = False,
) -> None:
    """Send the events of a file, for a backfill."""
    from ingest.loader.replay import conclude
    from ingest.loader.replay_file import FileReplay
    from ingest.settings import load_settings

    console = _console()
    tally = FileReplay(load_settings(), file, topic).run(console, dry_run=dry_run)
    conclude(console, tally, f"in {file}", dry_run=dry_run, load=load)
    _land(load and not dry_run and tally.sent > 0)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


@contextmanager
def _ready() -> "Iterator[tuple[Settings, Client, Console]]":
    from ingest.settings import load_settings
    from ingest.warehouse import connect

    settings = load_settings()
    client = connect(
        settings.clickhouse,
        connect_timeout_s=settings.clickhouse_connect_timeout_s,
        request_timeout_s=settings.clickhouse_request_timeout_s,
    )
    try:
        yield settings, client, _console()
    finally:
        client.close()


def _land(is_wanted: bool) -> None:
    """Runs the loader as a process of its own, as a person would: its signals, threads and exit code are its own."""
    if not is_wanted:
        return
    import subprocess

    argv = [*METERHOUSE, "load", "--drain"]
    code = subprocess.run(argv, check=False).returncode  # noqa: S603  # our own interpreter and words
    if code:
        raise typer.Exit(code)
