"""`meterhouse doctor`: parse, examine, print."""

from typing import Annotated

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table")] = False) -> None:
    """Check this installation and what it talks to; exit code 1 when anything fails."""
    import json

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ingest.doctor.checks import examine
    from ingest.doctor.findings import Verdict
    from ingest.settings import load_settings

    findings = examine(load_settings())
    failed = [finding for finding in findings if finding.verdict is Verdict.FAIL]
    if as_json:
        rows = [
            {"check": one.check, "verdict": one.verdict.value, "seen": one.seen, "advice": one.advice}
            for one in findings
        ]
        print(json.dumps({"is_well": not failed, "findings": rows}, indent=2))
    else:
        colours = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}
        table = Table("check", "verdict", show_lines=True)
        for title in ("seen", "what to do"):
            table.add_column(title, overflow="fold")  # an advice cut short is none
        for one in findings:
            verdict = f"[{colours[one.verdict]}]{one.verdict.value}[/]"
            table.add_row(escape(one.check), verdict, escape(one.seen), escape(one.advice))
        Console(highlight=False).print(table)
    if failed:
        raise typer.Exit(1)
