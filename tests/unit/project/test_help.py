"""Every command can say what it does: a help text that rich takes for markup used to end in a traceback."""

from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from ingest.cli import app


def _paths(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, one in getattr(command, "commands", {}).items():
        yield from _paths(one, (*path, name))


@pytest.mark.parametrize("path", list(_paths(typer.main.get_command(app))), ids=" ".join)
def test_every_command_prints_its_help(path: tuple[str, ...]) -> None:
    printed = CliRunner().invoke(app, [*path, "--help"])
    assert printed.exit_code == 0, printed.output
    assert "Usage:" in printed.output
