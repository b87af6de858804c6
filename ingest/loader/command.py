"""`meterhouse load`: parse, build, run. Exit code 0 done or stopped clean, 1 stopped by an error, 3 work was left."""

from typing import Annotated

import typer


def load(
    drain: Annotated[
        bool, typer.Option("--drain", help="Stop when all that the topics hold at the start is landed")
    ] = False,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this topic of canonical events, and no OTLP; may be repeated; unset: METERHOUSE_*_TOPICS"
        ),
    ] = None,
    owner: Annotated[
        str | None, typer.Option(help="This loader's name in the ledger; unset: host, pid, random")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="Loaders to run side by side; unset: METERHOUSE_LOADER_PROCESSES", show_default=False
        ),
    ] = None,
    share: Annotated[
        str | None, typer.Option(hidden=True, help="Which of several this is; --processes gives it")
    ] = None,
) -> None:
    """Land what Kafka holds in ClickHouse, each message exactly once, until stopped (SIGTERM drains)."""
    from rich.console import Console

    from ingest.loader.processes import Share, one_of, run_processes
    from ingest.logs import configure_logs
    from ingest.settings import load_settings

    only = {"otlp_traces_topics": "", "otlp_logs_topics": "", "otlp_metrics_topics": ""} if topic else {}
    settings = load_settings(agent_event_topics=",".join(topic) if topic else None, **only)
    configure_logs(settings.log_level, settings.log_format)
    count = processes or settings.loader_processes
    if share is None and count > 1:
        words = [*(["--drain"] if drain else []), *(word for name in topic or () for word in ("--topic", name))]
        run_processes(count, one_of(words, owner=owner), drain=drain, drain_deadline_s=settings.drain_deadline_s)
        return

    from ingest.loader.memory import bound_memory

    bound_memory()
    from ingest.loader.progress_bar import progress_bar
    from ingest.loader.service import run_loader
    from ingest.loader.stopping import not_held_by_threads

    mine = Share.parse(share) if share else None
    console = Console(stderr=True, highlight=False)
    with not_held_by_threads():
        # Several bars would write over each other.
        with progress_bar(console, enabled=drain and console.is_terminal and mine is None) as on_progress:
            report = run_loader(
                mine.of_settings(settings) if mine else settings, drain=drain, on_progress=on_progress, owner=owner
            )
        print(
            f"{f'process {mine}: ' if mine else ''}{report.messages} messages: {report.landed} rows landed, "
            f"{report.rejected} dead letters, {report.lost} lost, in {report.seconds:.1f} s"
        )
