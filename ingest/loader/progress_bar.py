"""The progress bar of a drain, on a terminal; elsewhere nothing is drawn."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.loader.service import LoadProgress


@contextlib.contextmanager
def progress_bar(console: Console, *, enabled: bool) -> Iterator[Callable[[LoadProgress], None] | None]:
    """Gives the callback for run_loader, or None where there is nothing to draw on."""
    if not enabled:
        yield None
        return
    columns = (TextColumn("loading"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[refused]} refused"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("load", total=None, refused=0)

        def show(progress: LoadProgress) -> None:
            done = progress.landed + progress.rejected
            total = None if progress.remaining is None else done + progress.remaining
            bar.update(task, completed=done, total=total, refused=progress.rejected)

        yield show
