"""`meterhouse slo import FILE`: parse, merge, print, write."""

from pathlib import Path
from typing import Annotated

import typer

slo = typer.Typer(name="slo", help="Objectives: import them from OpenSLO.", no_args_is_help=True)


@slo.callback()
def _group() -> None:
    """Keeps `import` a command of its own while it is the only one."""


@slo.command("import")
def import_openslo(
    file: Annotated[Path, typer.Argument(help="OpenSLO v1 YAML, any number of documents")],
    seeds: Annotated[Path | None, typer.Option(help="Folder of the seeds; found from here upwards")] = None,
    owner: Annotated[str, typer.Option(help="Owner of objectives without the label `owner`")] = "oncall",
    min_events: Annotated[int, typer.Option(help="Events below which a rate alone alarms nobody, where not said")] = 50,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing")] = False,
) -> None:
    """Put the objectives of an OpenSLO file into seeds/slo_objectives.csv, by id; if one is wrong, none is written."""
    from rich.console import Console
    from rich.markup import escape

    from ingest.prices.update import find_seeds
    from ingest.slo.objectives import FILE_NAME, ObjectiveError, merge
    from ingest.slo.openslo import read_openslo

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ObjectiveError(f"{file}: a readable UTF-8 file expected: {error}.") from error
    reading = read_openslo(text, str(file), owner=owner, min_events=min_events)
    merged = merge((seeds or find_seeds(Path.cwd())) / FILE_NAME, reading.objectives)
    console = Console(highlight=False, soft_wrap=True)
    for word, ids in (("new", merged.added), ("changed", merged.changed), ("as it was", merged.unchanged)):
        for one in ids:
            console.print(f"{word}: {escape(one)}")
    for one in reading.left_out:
        console.print(f"left out: {escape(one)} (routing and rules of alerts are not objectives)")
    if dry_run:
        console.print("nothing written (--dry-run)")
    elif merged.added or merged.changed:
        merged.write()
        console.print(f"wrote {merged.path}; `dbt build -s slo_objectives+` counts by it")
