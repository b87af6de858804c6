"""`meterhouse simulate`: parses the options, builds the simulation, runs it into a file or a topic, prints what
it was.

The lead mounts `simulate` on the application. A wrong option is a SettingsError before anything is written.
"""

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    events: Annotated[
        int, typer.Option(help="Distinct valid events; duplicates and malformed ones come on top")
    ] = 200_000,
    hours: Annotated[float, typer.Option(help="Length of the window the events fall into")] = 36.0,
    start: Annotated[str | None, typer.Option(help="First moment of the window, RFC 3339 (instead of --end)")] = None,
    end: Annotated[str | None, typer.Option(help="Last moment of the window; default: this minute")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, window and options: the same bytes")] = 7,
    workspaces: Annotated[int, typer.Option(help="How many tenants; the first makes half of everything")] = 8,
    out: Annotated[Path | None, typer.Option(help="Write this .ndjson or .ndjson.zst instead of Kafka")] = None,
    topic: Annotated[str, typer.Option(help="Kafka topic, METERHOUSE_TOPIC_PREFIX put before it")] = "agent_events",
    rate: Annotated[
        float | None, typer.Option(help="Messages a second in wall time; default: as fast as it goes")
    ] = None,
    incidents: Annotated[
        bool, typer.Option("--incidents/--no-incidents", help="Whether anything goes wrong by name")
    ] = True,
    incident: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this one: KIND:SUBJECT@2026-11-23T10:00Z/30m, of which only KIND must be there; may be repeated"
        ),
    ] = None,
    malformed_rate: Annotated[float, typer.Option(help="Malformed messages per valid event")] = 0.002,
    duplicate_rate: Annotated[float, typer.Option(help="Exact copies per valid event")] = 0.004,
    correction_rate: Annotated[
        float, typer.Option(help="Corrected copies (same id) per valid event, of calls and finishes")
    ] = 0.001,
    late_rate: Annotated[float, typer.Option(help="Share of events that arrive minutes to days late")] = 0.01,
    extra_rate: Annotated[
        float, typer.Option(help="Share with unknown fields, content to be dropped, and the like")
    ] = 0.004,
    truth: Annotated[Path | None, typer.Option(help="Write what the warehouse must hold afterwards, as JSON")] = None,
) -> None:
    """Simulate several workspaces' agents: to Kafka, or to a file with --out."""
    from ingest.simulate import play
    from ingest.simulate.config import SimulationConfig

    config = SimulationConfig(
        end_ms=play.window_end(start, end, hours),
        events=events,
        hours=hours,
        seed=seed,
        workspaces=workspaces,
        malformed_rate=malformed_rate,
        duplicate_rate=duplicate_rate,
        correction_rate=correction_rate,
        late_rate=late_rate,
        extra_rate=extra_rate,
        incidents=play.requested_incidents(incidents, incident),
    )
    play.play(config, out=out, topic=topic, rate=rate, truth_path=truth)
