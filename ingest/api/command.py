"""`meterhouse serve`: parse, build, run. Exit code 0 stopped clean, 1 an error, 3 messages left unacknowledged."""

from typing import Annotated

import typer


def serve(
    port: Annotated[int | None, typer.Option(help="HTTP port; unset: METERHOUSE_API_PORT")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC port; unset: METERHOUSE_API_GRPC_PORT")] = None,
) -> None:
    """Take events and OTLP by HTTP and gRPC, acknowledged once Kafka has them, until stopped (SIGTERM drains)."""
    from ingest.api.serve import run
    from ingest.logs import configure_logs
    from ingest.settings import load_settings

    settings = load_settings(api_port=port, api_grpc_port=grpc_port)
    configure_logs(settings.log_level, settings.log_format)
    run(settings, lambda line: print(line, flush=True))
