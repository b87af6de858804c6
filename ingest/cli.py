"""The `meterhouse` command.

Assembles what each room offers (rooms behind `ingest` join by entry point) and turns a MeterhouseError into one
sentence on stderr and an exit code.
"""

import sys

import typer

from ingest.api.command import serve
from ingest.api.keys_command import keys
from ingest.building.command import new_mart, try_mart
from ingest.doctor.command import doctor
from ingest.embedded.command import down, embedded, status, up
from ingest.errors import MeterhouseError, tell
from ingest.loader.command import load
from ingest.loader.replay_command import replay
from ingest.plugins import add_commands
from ingest.prices.command import prices
from ingest.schema.command import migrate
from ingest.simulate.command import simulate
from ingest.slo.command import slo

app = typer.Typer(
    name="meterhouse",
    help="The meter house of a company's AI agents: what it cost, how reliable it was, what is burning.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.add_typer(embedded, name="embedded")
app.command()(up)
app.command()(down)
app.command()(status)
app.command()(doctor)
app.command()(migrate)
app.command()(load)
app.command()(serve)
app.add_typer(keys, name="keys")
app.add_typer(replay, name="replay")
app.command()(simulate)
app.command()(prices)
app.add_typer(slo, name="slo")
app.command()(new_mart)
app.command()(try_mart)
add_commands(app)


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except MeterhouseError as error:
        tell(error)
        sys.exit(error.exit_code)
