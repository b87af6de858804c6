"""Checks of the engine underneath: parts and mutations that pile up, and disks that fill.

In: a Look. Out: a Finding with a row a table, mutation or disk. Only databases of this installation count; on a cluster
each node answers for itself, and the one that is asked is the one of METERHOUSE_CLICKHOUSE_URL.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from ingest.settings import Settings
from orchestration.lib.quality_finding import Finding, Level, Look, Number, falling, rising

_LISTED = 20


def databases(settings: Settings) -> list[str]:
    """The databases of this installation: the loader's, and those that its models build in."""
    models = [f"{settings.database_prefix}{settings.models_prefix}{name}" for name in MODEL_DATABASES]
    return sorted({settings.database("raw"), settings.database("ops"), *models})


MODEL_DATABASES = ("staging", "intermediate", "marts", "ops")


def parts_and_mutations(look: Look) -> Finding:
    """Active parts of the fullest partition, and the oldest mutation that is not done; one that fails is an error."""
    rule, ours = look.thresholds.parts_and_mutations, {"databases": databases(look.settings)}
    parts = look.client.query(
        "select database, table, partition_id, count() as parts, sum(rows) from system.parts "
        "where active and database in {databases:Array(String)} group by database, table, partition_id "
        "order by parts desc, database, table limit {listed:UInt32}",
        parameters={**ours, "listed": _LISTED},
    ).result_rows
    mutations = look.client.query(
        "select database, table, mutation_id, dateDiff('second', create_time, now()) as age_s, parts_to_do, "
        "latest_fail_reason from system.mutations where not is_done and not is_killed "
        "and database in {databases:Array(String)} order by age_s desc",
        parameters=ours,
    ).result_rows
    most_parts = max((int(row[3]) for row in parts), default=0)
    oldest_s = max((int(row[3]) for row in mutations), default=0)
    failing = [row for row in mutations if row[5]]
    level = max(
        rising(most_parts, rule.warn_parts, rule.error_parts),
        rising(oldest_s, rule.warn_mutation_age_s, rule.error_mutation_age_s) if mutations else Level.OK,
        Level.ERROR if failing else Level.OK,
    )
    rows: list[dict[str, Number]] = [
        {
            "what": "mutation" if not reason else "failing mutation",
            "table": f"{database}.{table}",
            "name": mutation,
            "parts": int(to_do),
            "age_s": int(age_s),
            "words": str(reason).split("\n", 1)[0][:300],
        }
        for database, table, mutation, age_s, to_do, reason in mutations[:_LISTED]
    ]
    rows += [
        {
            "what": "partition",
            "table": f"{database}.{table}",
            "name": partition,
            "parts": int(count),
            "age_s": None,
            "words": f"{row_count:,} rows",
        }
        for database, table, partition, count, row_count in parts
    ]
    why = str(failing[0][5]).split("\n", 1)[0][:300] if failing else ""
    fullest = f" ({parts[0][0]}.{parts[0][1]}, partition {parts[0][2]})" if parts else ""
    return Finding(
        level,
        f"{most_parts:,} parts in the fullest partition{fullest}; {len(mutations)} mutations wait"
        + (f", the oldest for {oldest_s:,} s" if mutations else "")
        + (f"; {len(failing)} fail: {why}" if failing else ""),
        {
            "most_parts": most_parts,
            "mutations": len(mutations),
            "mutations_failing": len(failing),
            "oldest_mutation_s": oldest_s,
            "warn_parts": rule.warn_parts,
            "error_parts": rule.error_parts,
            "warn_mutation_age_s": rule.warn_mutation_age_s,
            "error_mutation_age_s": rule.error_mutation_age_s,
        },
        rows,
    )


def disk(look: Look) -> Finding:
    """Free space of the engine's disks and of the one under METERHOUSE_HOME; the emptiest share decides."""
    rule = look.thresholds.disk
    disks = [
        (str(name), str(path), int(free), int(total))
        for name, path, free, total in look.client.query(
            # An object store has no end, and says so with a total of zero or of all bytes there are.
            "select name, path, unreserved_space, total_space from system.disks where not is_remote order by name"
        ).result_rows
        if total
    ]
    home = shutil.disk_usage(_existing(look.settings.home))
    disks.append(("METERHOUSE_HOME", str(look.settings.home), home.free, home.total))
    rows: list[dict[str, Number]] = []
    worst = Level.OK
    for name, path, free, total in disks:
        share = free / total
        level = falling(share, rule.warn_free_share, rule.error_free_share)
        if free <= rule.error_free_bytes:
            level = Level.ERROR
        worst = max(worst, level)
        rows.append(
            {
                "disk": name,
                "path": path,
                "free_bytes": free,
                "total_bytes": total,
                "free_share": round(share, 4),
                "state": level.name.lower(),
            }
        )
    fullest = min(disks, key=lambda one: one[2] / one[3])
    return Finding(
        worst,
        f"{fullest[0]} has {_gigabytes(fullest[2])} of {_gigabytes(fullest[3])} free "
        f"({fullest[2] / fullest[3]:.1%}), the least of {len(disks)} disks",
        {
            "least_free_share": round(fullest[2] / fullest[3], 4),
            "least_free_bytes": min(one[2] for one in disks),
            "disks": len(disks),
            "warn_free_share": rule.warn_free_share,
            "error_free_share": rule.error_free_share,
            "error_free_bytes": rule.error_free_bytes,
        },
        rows,
    )


def _existing(path: Path) -> Path:
    """The nearest folder that is there: the home is made at the first start."""
    candidates: Iterable[Path] = (path.absolute(), *path.absolute().parents)
    return next(one for one in candidates if one.exists())


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
