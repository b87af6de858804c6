"""`python -m ingest.embedded.clickhouse --path DIR --port N`: what the stack runs for its engine."""

import sys

import typer

from ingest.embedded.clickhouse.command import clickhouse
from ingest.errors import MeterhouseError

if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(clickhouse)
    try:
        app()
    except MeterhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
