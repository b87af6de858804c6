"""Check of the price table: how old the newest price in force is, and whether the table holds what the seed says.

In: a Look. Out: a Finding. The newest `valid_from` that has begun stands for the age of the list, since providers
change prices every few weeks; whether the table is the seed is told by counting rows and versions of both.
"""

import csv
from datetime import UTC, date, datetime
from importlib.metadata import version

from ingest.building.dbt import project_folder
from orchestration.lib.quality_finding import Finding, Level, Look, rising


def price_table_age(look: Look) -> Finding:
    """Days since the newest price began that is in force; rows of the table against rows of the seed."""
    rule, settings = look.thresholds.price_table, look.settings
    table = f"`{settings.database_prefix}{settings.models_prefix}intermediate`.model_prices"
    today = look.now.date()
    rows, newest, source, versions = look.client.query(
        "select count(), toString(maxIf(toDate(valid_from), toDate(valid_from) <= {today:Date})), "  # noqa: S608  # a name from checked settings
        f"arrayStringConcat(arraySort(groupUniqArray(source)), ', '), groupUniqArray(price_version) from {table}",
        parameters={"today": today},
    ).result_rows[0]
    with (project_folder() / "seeds" / "model_prices.csv").open(encoding="utf-8", newline="") as file:
        seed = {row["price_version"] for row in csv.DictReader(file)}
    absent, unknown = seed - set(versions), set(versions) - seed
    newest_day = date.fromisoformat(newest)
    age_days = (today - newest_day).days
    installed = f"genai-prices-{version('genai-prices')}"
    level = rising(age_days, rule.warn_age_days, rule.error_age_days)
    words = [f"{rows:,} prices; the newest in force began on {newest} ({age_days:,} days ago)"]
    if rows < rule.min_rows:
        level = Level.ERROR
        words.append(f"fewer than {rule.min_rows:,} rows: `dbt seed` has not run, or somebody emptied it")
    elif absent or unknown:
        level = max(level, Level.WARN)
        words.append(
            f"{len(absent):,} prices of the seed are not in it, {len(unknown):,} of it not in the seed: run `dbt seed`"
        )
    if rows and installed not in source.split(", "):
        level = max(level, Level.WARN)
        words.append(f"made from {source}, installed is {installed}: run `meterhouse prices`")
    return Finding(
        level,
        "; ".join(words),
        {
            "age_days": age_days,
            "newest_valid_from": newest,
            "rows": int(rows),
            "absent_prices": len(absent),
            "unknown_prices": len(unknown),
            "source": source,
            "installed": installed,
            "warn_age_days": rule.warn_age_days,
            "error_age_days": rule.error_age_days,
            "looked_at": datetime.fromtimestamp(look.now.timestamp(), UTC).isoformat(),
        },
    )
