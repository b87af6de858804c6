"""`meterhouse new-mart` and `meterhouse try-mart`: an analyst's two commands, from a question to a mart that builds."""

from typing import Annotated

import typer


def new_mart(
    name: Annotated[str, typer.Argument(help="Name of the mart: lower case with underscores, such as llm_cost_hourly")],
    grain: Annotated[str, typer.Option(help="Columns one row stands for, such as day,workspace_id,agent")],
    source: Annotated[
        str, typer.Option("--from", help="int_agent_events, int_llm_calls, int_tool_calls or int_agent_runs")
    ] = "int_agent_events",
    folder: Annotated[
        str, typer.Option(help="Under models/marts: llm, reliability, slo, cost, product or ops")
    ] = "ops",
    owner: Annotated[str, typer.Option(help="Who answers for its numbers: platform, finance or oncall")] = "platform",
) -> None:
    """Write the first version of a mart: SQL, YAML and a unit test that build and pass lint."""
    from ingest.building import new_mart as writer
    from ingest.building.dbt import project_folder

    project = project_folder()
    columns = tuple(part.strip() for part in grain.split(",") if part.strip())
    for file in writer.write(writer.NewMart(name, columns, source, folder, owner), project):
        typer.echo(f"wrote {file.relative_to(project)}")
    typer.echo(f"next: make mart NAME={name}    # docs/adding-a-mart.md")


def try_mart(
    name: Annotated[str, typer.Argument(help="A model's name, such as llm_daily")],
) -> None:
    """Build and test one model on an embedded engine with a simulated day; the first time makes that day."""
    from ingest.building.sample import try_model
    from ingest.errors import MeterhouseError
    from ingest.settings import load_settings

    report = try_model(load_settings(), name, typer.echo)
    if report.bad:
        raise MeterhouseError(
            f"{len(report.bad)} of {len(report.nodes)} failed, first {report.bad[0].name}: {report.bad[0].message}"
        )
    if not report.nodes:
        raise MeterhouseError(
            f"there is no model {name}: `ls models/*/*` shows them, `meterhouse new-mart` writes one."
        )
