"""What `meterhouse prices` tells people: what changed, what the seed keeps against the package, what it leaves out."""

import difflib
from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from ingest.prices.history import Change, Kind
from ingest.prices.update import Update

_SHOWN = 40
_TITLES: dict[Kind, str] = {
    "changed": "Changed",
    "kept": "Kept as the seed has it, though the package says otherwise of the past (--restate takes the package's)",
    "gone": "No longer in the package, kept at the last price",
    "new": "New models",
}


def print_update(console: Console, update: Update, *, verbose: bool) -> None:
    """Changes by kind, then what is left out; `verbose` names every model."""
    kinds: Counter[Kind] = Counter(change.kind for change in update.changes)
    for kind, title in _TITLES.items():
        if kinds[kind]:
            _print_changes(console, title, [one for one in update.changes if one.kind == kind], verbose=verbose)
    catalogue = update.catalogue
    table = Table("not in the prices", "models", "which", title=catalogue.version)
    for reason, names in sorted(catalogue.left_out.items()):
        table.add_row(reason, str(len(names)), _some(names, verbose=verbose))
    for unit, number in sorted(catalogue.uncounted.items(), key=lambda one: (-one[1], one[0])):
        table.add_row(f"charge for {unit}", str(number), "events have no count of it; named in not_included")
    if catalogue.rounded:
        table.add_row("rounded to 6 decimals", str(len(catalogue.rounded)), _some(catalogue.rounded, verbose=verbose))
    if update.unwritable_rules:
        rules = update.unwritable_rules
        table.add_row("name rule that SQL cannot say", str(len(rules)), "; ".join(rules))
    console.print(table)


def _print_changes(console: Console, title: str, changes: list[Change], *, verbose: bool) -> None:
    console.print(f"[bold]{title}[/] ({len(changes)})")
    for change in changes if verbose else changes[:_SHOWN]:
        console.print(f"  {change.key}: {change.sentence}", markup=False)
    if not verbose and len(changes) > _SHOWN:
        console.print(f"  … and {len(changes) - _SHOWN} more (--verbose)")


def _some(names: Iterable[str], *, verbose: bool) -> str:
    every = sorted(set(names))
    shown = every if verbose else every[:3]
    return ", ".join(shown) + (", …" if len(every) > len(shown) else "")


def print_diff(console: Console, update: Update) -> None:
    """What would be written, as a unified diff of each file."""
    for file in update.files:
        before, after = file.before.splitlines(), file.after.splitlines()
        for line in difflib.unified_diff(before, after, str(file.path), str(file.path), lineterm="", n=0):
            style = "green" if line.startswith("+") else "red" if line.startswith("-") else "dim"
            console.print(line, style=style, markup=False)
