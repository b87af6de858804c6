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
) -> None:
    """Land what Kafka holds in ClickHouse, each message exactly once, until stopped (SIGTERM drains)."""
    from rich.console import Console

    from ingest.loader.progress_bar import progress_bar
    from ingest.loader.service import run_loader
    from ingest.loader.stopping import not_held_by_threads
    from ingest.logs import configure_logs
    from ingest.settings import load_settings

    only = {"otlp_traces_topics": "", "otlp_logs_topics": "", "otlp_metrics_topics": ""} if topic else {}
    settings = load_settings(agent_event_topics=",".join(topic) if topic else None, **only)
    configure_logs(settings.log_level, settings.log_format)
    console = Console(stderr=True, highlight=False)
    with not_held_by_threads():
        with progress_bar(console, enabled=drain and console.is_terminal) as on_progress:
            report = run_loader(settings, drain=drain, on_progress=on_progress, owner=owner)
        print(
            f"{report.messages} messages: {report.landed} rows landed, {report.rejected} dead letters, "
            f"{report.lost} lost, in {report.seconds:.1f} s"
        )
