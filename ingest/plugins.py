"""Where rooms behind `ingest` join its commands and its stack, so that `ingest` need not know them.

In: entry points of installed packages, in two groups. `meterhouse.commands`: a typer.Typer, which becomes a group of
commands, or a function, which becomes one command; the entry's name is the command's. `meterhouse.parts`: a function of
Settings that gives the Parts `meterhouse up` starts after the loader, in order. Another kind of object is a
MeterhouseError that names the entry; what fails to import raises as it is.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

import typer

from ingest.errors import MeterhouseError

if TYPE_CHECKING:
    from ingest.embedded.parts import Part
    from ingest.settings import Settings

COMMANDS: Final = "meterhouse.commands"
PARTS: Final = "meterhouse.parts"


def add_commands(app: typer.Typer) -> None:
    """Adds every command that another room brings, by name."""
    for entry in _entries(COMMANDS):
        command: object = entry.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(name=entry.name)(_function(entry, command))


def further_parts(settings: "Settings") -> "list[Part]":
    """The parts of other rooms, in the order of their entries' names."""
    from ingest.embedded.parts import Part

    parts: list[Part] = []
    for entry in _entries(PARTS):
        given = _function(entry, entry.load())(settings)
        if not isinstance(given, list | tuple) or not all(isinstance(part, Part) for part in given):
            raise MeterhouseError(f"The entry point {entry.name} of {PARTS} ({entry.value}) gives no list of parts.")
        parts += given
    return parts


def _entries(group: str) -> Iterator[EntryPoint]:
    # A package may be found twice (installed, and in the working directory): the first of a name counts.
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, entry)
    yield from (found[name] for name in sorted(found))


def _function(entry: EntryPoint, loaded: object) -> Callable[..., object]:
    if not callable(loaded):
        raise MeterhouseError(
            f"The entry point {entry.name} of {entry.group} ({entry.value}) is no function: {type(loaded).__name__}."
        )
    return loaded
