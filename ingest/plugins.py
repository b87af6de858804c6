"""Where rooms behind `ingest` join its commands and its stack, so that `ingest` need not know them.

In: entry points of installed packages, in three groups. `meterhouse.commands`: a typer.Typer, which becomes a group of
commands, or a function, which becomes one command; the entry's name is the command's. `meterhouse.parts`: a function of
Settings that gives the Parts `meterhouse up` starts after the loader, in order. `meterhouse.ready`: a function of
Settings and a rich Console that `up` calls once every part answers, under the name of the room's parts. Another kind of
object is a MeterhouseError that names the entry; what fails to import raises as it is.
"""

from collections.abc import Callable, Collection, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

import typer

from ingest.errors import MeterhouseError

if TYPE_CHECKING:
    from rich.console import Console

    from ingest.embedded.parts import Part
    from ingest.settings import Settings

COMMANDS: Final = "meterhouse.commands"
PARTS: Final = "meterhouse.parts"
READY: Final = "meterhouse.ready"


def add_commands(app: typer.Typer) -> None:
    """Adds every command that another room brings, by name."""
    for entry in _entries(COMMANDS):
        command: object = entry.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(name=entry.name)(_function(entry, command))


def check_rooms(names: Collection[str]) -> None:
    """Raises MeterhouseError where no room of such a name brings parts."""
    known = [entry.name for entry in _entries(PARTS)]
    for name in names:
        if name not in known:
            raise MeterhouseError(f"There is no part {name!r} that could be left out; there is: {', '.join(known)}.")


def further_parts(settings: "Settings", without: Collection[str] = ()) -> "list[Part]":
    """The parts of other rooms, in the order of their entries' names; `without` names entries to leave out."""
    from ingest.embedded.parts import Part

    parts: list[Part] = []
    for entry in _entries(PARTS):
        if entry.name in without:
            continue
        given = _function(entry, entry.load())(settings)
        if not isinstance(given, list | tuple) or not all(isinstance(part, Part) for part in given):
            raise MeterhouseError(f"The entry point {entry.name} of {PARTS} ({entry.value}) gives no list of parts.")
        parts += given
    return parts


def call_ready(settings: "Settings", console: "Console", without: Collection[str] = ()) -> None:
    """What other rooms do when the whole stack answers; what they raise goes on."""
    for entry in _entries(READY):
        if entry.name not in without:
            _function(entry, entry.load())(settings, console)


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
