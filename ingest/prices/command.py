"""`meterhouse prices`: parse, plan, print, write."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer


def prices(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if the seeds are not current")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; print what would be, as a diff")] = False,
    seeds: Annotated[Path | None, typer.Option(help="Folder of the seeds; found from here upwards")] = None,
    effective: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="UTC day from which a change without a date counts; today"),
    ] = None,
    restate: Annotated[
        bool, typer.Option("--restate", help="Take the package's view of the past too; sums of the past change")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name every model")] = False,
) -> None:
    """Bring the price seeds up to the installed genai-prices; rows are added and closed, never rewritten."""
    from datetime import UTC

    from rich.console import Console

    from ingest.prices.report import print_diff, print_update
    from ingest.prices.update import find_seeds, plan_update

    console = Console(highlight=False, soft_wrap=True)
    day = (effective or datetime.now(UTC)).date()
    update = plan_update(seeds or find_seeds(Path.cwd()), day, restate=restate)
    print_update(console, update, verbose=verbose)
    if dry_run:
        print_diff(console, update)
    if check or dry_run:
        for file in update.files:
            console.print(f"{file.path}: {'current' if file.is_current else 'not what the package gives'}")
        if check and not update.is_current:
            raise typer.Exit(1)
        return
    for path in update.write():
        console.print(f"wrote {path}")
    if update.is_current:
        console.print("the seeds are current")
