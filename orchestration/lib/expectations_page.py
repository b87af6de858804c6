"""A suite's result as a page that opens without a network, and as Markdown for Dagster's own page.

In: an Outcome. Out: HTML in a file under <home>/quality/<asset>/<check>/, of which the newest fifty are kept, and text.
Whatever comes from data or from a suite is escaped: names of models and tools are what producers say they are.
"""

import html
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from orchestration.lib.expectations_run import Outcome, Result
from orchestration.lib.quality_finding import Number

KEPT: Final = 50
_MOST_LINES: Final = 500

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1c2430; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid #dde3ea; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.unexpected, .failed { color: #b3261e; font-weight: 600; } .expected { color: #1f7a3d; } .unjudged { color: #7a5c00; }
pre { background: #f4f6f8; padding: 1rem; overflow-x: auto; } .quiet { color: #5b6673; }
"""


def write_page(outcome: Outcome, folder: Path, now: datetime) -> Path:
    """Writes the page, drops the oldest ones, returns its path."""
    place = folder / "quality" / outcome.suite.asset / outcome.suite.check
    place.mkdir(parents=True, exist_ok=True)
    page = place / f"{now:%Y%m%dT%H%M%S}.html"
    beside = page.with_suffix(".new")
    beside.write_text(render_html(outcome, now), encoding="utf-8")
    beside.replace(page)
    for old in sorted(place.glob("*.html"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return page.absolute()


def render_html(outcome: Outcome, now: datetime) -> str:
    suite = outcome.suite
    failed = len(outcome.failed)
    words = f"{failed} of {len(outcome.results)} expectations failed" if failed else "every expectation holds"
    sections = "\n".join(_section(index, result) for index, result in enumerate(outcome.results))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{_text(suite.asset)}: {_text(suite.check)}</title>
<style>{_STYLE}</style></head><body>
<h1>{_text(suite.asset)}: {_text(suite.check)}</h1>
<p>{_text(suite.description)}</p>
<p class="{"failed" if failed else "expected"}">{_text(words)}</p>
<p class="quiet">The hour from {outcome.hour:%Y-%m-%d %H:%M} UTC, everything being in up to
{outcome.as_of:%Y-%m-%d %H:%M:%S} UTC; looked at {now:%Y-%m-%d %H:%M:%S} UTC. Suite: {_text(suite.shown)}</p>
{sections}
<h2>What was looked at</h2>
<pre>{_text(outcome.sql)}</pre>
</body></html>
"""


def render_markdown(outcome: Outcome) -> str:
    """The same, short: every comparison, the unexpected ones first."""
    lines = ["| | what | seen | at least | at most |", "| --- | --- | --- | --- | --- |"]
    for result in outcome.results:
        if result.error:
            lines.append(f"| error | {_cell(result.expectation.type)} | {_cell(result.error)} | | |")
        for line in _worst_first(result):
            cells = (line["verdict"], line["subject"], line["observed"], line["low"], line["high"])
            lines.append("| " + " | ".join(_cell(_shown(cell)) for cell in cells) + " |")
    return "\n".join(lines[:60])


def _section(index: int, result: Result) -> str:
    one = result.expectation
    state = "failed" if not result.success else "expected" if result.judged else "unjudged"
    words = {"failed": "failed", "expected": "holds", "unjudged": "nothing was judged"}[state]
    history = ""
    if result.weeks_needed:
        history = f"<p class='quiet'>{result.weeks_found} past weeks are history, {result.weeks_needed} are needed.</p>"
    rows = "\n".join(
        f"<tr><td class='{_class(str(line['verdict']))}'>{_text(str(line['verdict']))}</td>"
        f"<td>{_text(str(line['subject']))}</td>"
        + "".join(f"<td class='number'>{_text(_shown(line[name]))}</td>" for name in ("observed", "low", "high"))
        + "</tr>"
        for line in _worst_first(result)
    )
    table = f"<table><tr><th></th><th>what</th><th>seen</th><th>at least</th><th>at most</th></tr>{rows}</table>"
    error = f"<p class='failed'>{_text(result.error)}</p>" if result.error else ""
    notes = f"<p>{_text(one.notes)}</p>" if one.notes else ""
    kwargs = json.dumps(msgspec.to_builtins(one.kwargs), ensure_ascii=False, default=str)
    return f"""<h2>{index + 1}. {_text(one.type)} <span class="{state}">{words}</span></h2>
{notes}<p class="quiet">severity {one.severity}; <code>{_text(kwargs[:2_000])}</code></p>
{history}{error}{table if rows else ""}"""


def _worst_first(result: Result) -> Sequence[Mapping[str, Number]]:
    return sorted(result.lines, key=lambda line: str(line["verdict"]) != "unexpected")[:_MOST_LINES]


def _class(verdict: str) -> str:
    return {"unexpected": "unexpected", "as expected": "expected"}.get(verdict, "unjudged")


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.4g}" if abs(value) < 1 else f"{value:,.1f}".removesuffix(".0")
    return str(value)


def _text(value: str) -> str:
    return html.escape(value)


def _cell(value: str) -> str:
    """Plain text in a cell of a Markdown table, whatever a producer called its model."""
    plain = html.escape(" ".join(value.split()), quote=False)
    return "".join(f"\\{one}" if one in "|*_`[]\\" else one for one in plain)[:300]
