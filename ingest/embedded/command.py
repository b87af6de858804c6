"""`meterhouse embedded kafka`, `up`, `down`, `status`: parse, build, run.

`embedded` is the sub-app (the engine's command joins it as `clickhouse`); `up`, `down` and `status` are plain commands.
"""

from pathlib import Path
from typing import Annotated

import typer

from ingest.embedded.clickhouse.command import clickhouse

embedded = typer.Typer(
    name="embedded",
    help="Run ClickHouse or Kafka inside this installation, in the foreground.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")]


@embedded.callback()
def _group() -> None:
    """Keeps this a group of commands whatever their number."""


@embedded.command("kafka")
def kafka(
    port: Annotated[int | None, typer.Option(help="Port on 127.0.0.1; unset: METERHOUSE_EMBEDDED_KAFKA_PORT")] = None,
    log_file: Annotated[Path | None, typer.Option(help="Write the broker's own log here instead of stderr")] = None,
) -> None:
    """Run the embedded Kafka broker on loopback until stopped; everything it holds is in memory."""
    from ingest.embedded.kafka import run
    from ingest.settings import load_settings

    settings = load_settings(embedded_kafka_port=port)
    run(settings.embedded_kafka_port, log_file=log_file, say=lambda line: print(line, flush=True))


embedded.command("clickhouse")(clickhouse)


def up(
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Leave these parts out: door, dagster; may be repeated")
    ] = None,
) -> None:
    """Start the whole stack in the background, make tables and topics, build every model once; safe to repeat."""
    from rich.console import Console

    from ingest.api.part import PART as DOOR
    from ingest.api.part import door_address, door_part, sending_file
    from ingest.embedded.stack import Stack, loader_part
    from ingest.plugins import call_ready, check_rooms, further_parts
    from ingest.settings import load_settings

    console = Console(highlight=False, soft_wrap=True)
    left_out = without or []
    check_rooms([name for name in left_out if name != DOOR])
    settings = load_settings()
    has_door = DOOR not in left_out
    variables = sending_file(settings) if has_door else None
    extra = [loader_part(settings), *([door_part(settings)] if has_door else []), *further_parts(settings, left_out)]
    stack = Stack(settings, say=lambda line: console.print(line, markup=False), extra=extra)
    stack.up()
    console.print(
        f"up: ClickHouse {settings.clickhouse.public}, Kafka {settings.bootstrap}; "
        "`meterhouse status` shows it, `meterhouse down` stops it",
        markup=False,
    )
    if has_door:
        how = f"`. {variables}` gives a shell what to send with" if variables else "`meterhouse keys make` lets one in"
        console.print(f"front door: {door_address(settings)}; {how}", markup=False)
    call_ready(settings, console, left_out)


def down() -> None:
    """Stop what `up` started; what was landed stays on disk, what the embedded broker held is gone."""
    from rich.console import Console

    from ingest.embedded.stack import Stack
    from ingest.settings import load_settings

    console = Console(highlight=False, soft_wrap=True)
    if not Stack(load_settings(), say=lambda line: console.print(line, markup=False)).down():
        console.print("nothing was running")


def status(as_json: AsJson = False) -> None:
    """Show the stack: its parts, tables with sizes, lag and completeness. Exit code 1 when a part is not well."""
    import json

    from rich.console import Console

    from ingest.embedded.report import collect
    from ingest.embedded.report_view import render
    from ingest.settings import load_settings

    report = collect(load_settings())
    if as_json:
        print(json.dumps(report.to_json(), indent=2, default=str))
    else:
        Console(highlight=False).print(render(report))
    if not report.is_well:
        raise typer.Exit(1)
