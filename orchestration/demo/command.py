"""`meterhouse demo`: parse, build, run."""

from typing import Annotated

import typer


def demo(
    events: Annotated[
        int, typer.Option(min=1, help="Distinct valid events; copies and malformed ones come on top")
    ] = 200_000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and same minute: the same events")] = 7,
) -> None:
    """Simulate a day and a half of agents, let Dagster land and build it, and check that against what was sent."""
    from rich.console import Console

    from ingest.demo.run import run_demo
    from ingest.logs import configure_logs
    from ingest.settings import load_settings
    from orchestration.demo.steps import STEPS

    settings = load_settings()
    # The progress bars say what the log would, unless somebody asked for it.
    configure_logs(settings.log_level if "log_level" in settings.model_fields_set else "WARNING", settings.log_format)
    console = Console(highlight=False, soft_wrap=True)
    run_demo(settings, events=events, seed=seed, console=console, steps=STEPS)
