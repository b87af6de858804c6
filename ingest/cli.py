"""The `meterhouse` command.

Assembles what each room offers and turns a MeterhouseError into one sentence on stderr and an exit code.
"""

import sys

import typer
from rich.console import Console
from rich.markup import escape

from ingest.errors import MeterhouseError

app = typer.Typer(
    name="meterhouse",
    help="The meter house of a company's AI agents: what it cost, how reliable it was, what is burning.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except MeterhouseError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print("[bold red]error:[/]", escape(str(error)))
        sys.exit(error.exit_code)
