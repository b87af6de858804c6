"""What a suite's outcome means for its check: how bad, one sentence, numbers.

In: an Outcome. Out: a Finding. Failed expectations count by their severity: critical is an error, warning a warning,
info only a number. A suite that judged nothing, for too little history or too few rows, passes and says so first,
with the numbers that are missing.
"""

from typing import Final

from orchestration.lib.expectations_run import Outcome, Result
from orchestration.lib.quality_finding import Finding, Level, Metadata, Number

_LEVELS: Final = {"critical": Level.ERROR, "warning": Level.WARN, "info": Level.OK}


def judge_outcome(outcome: Outcome, more: Metadata) -> Finding:
    """The check's finding."""
    results, failed = outcome.results, outcome.failed
    level = max((_LEVELS[one.expectation.severity] for one in failed), default=Level.OK)
    # What could not be carried out is never only worth a mention.
    if any(one.error for one in failed):
        level = max(level, Level.WARN)
    judged = sum(one.judged for one in results)
    short = [one for one in results if one.is_short_of_history]
    words = []
    if short:
        found, needed = min(one.weeks_found or 0 for one in short), max(one.weeks_needed or 0 for one in short)
        words.append(
            f"not enough history: {found} of {needed} past weeks have this hour, {len(short)} expectations wait"
        )
    elif not judged and not failed:
        words.append("nothing to judge: too few rows")
    if failed:
        words.append(
            f"{len(failed)} of {len(results)} expectations failed: {'; '.join(_reason(one) for one in failed[:3])}"
        )
    elif judged:
        words.append(f"{judged} comparisons are as expected")
    words.append(f"the hour from {outcome.hour:%Y-%m-%d %H:%M} UTC")
    found_weeks = [one.weeks_found for one in results if one.weeks_found is not None and one.weeks_needed]
    needed_weeks = [one.weeks_needed for one in results if one.weeks_needed]
    rows: list[dict[str, Number]] = [
        {
            "expectation": result.expectation.type,
            "severity": result.expectation.severity,
            "what": str(line["subject"]),
            "verdict": str(line["verdict"]),
            "seen": str(line["observed"]),
            "at_least": "" if line["low"] is None else str(line["low"]),
            "at_most": "" if line["high"] is None else str(line["high"]),
        }
        for result in results
        for line in result.lines
    ]
    rows.sort(key=lambda row: row["verdict"] != "unexpected")
    return Finding(
        level,
        "; ".join(words),
        {
            "expectations": len(results),
            "expectations_failed": len(failed),
            "comparisons_judged": judged,
            "comparisons": len(rows),
            "unexpected": sum(row["verdict"] == "unexpected" for row in rows),
            "weeks_found": min(found_weeks, default=None),
            "weeks_needed": max(needed_weeks, default=None),
            "hour": outcome.hour.isoformat(),
            "as_of": outcome.as_of.isoformat(),
        },
        rows,
        more,
    )


def _reason(result: Result) -> str:
    if result.error:
        return f"{result.expectation.type} could not be carried out ({result.error[:200]})"
    unexpected = [line for line in result.lines if line["verdict"] == "unexpected"]
    words = []
    for line in unexpected[:2]:
        bounds = [line["low"], line["high"]]
        between = f" (expected {bounds[0]} to {bounds[1]})" if any(one is not None for one in bounds) else ""
        words.append(f"{line['subject']} is {str(line['observed'])[:200]}{between}")
    return ", ".join(words) or result.expectation.type
