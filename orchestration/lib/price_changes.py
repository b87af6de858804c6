"""What of the price seeds the warehouse does not price by yet: which models, and how many hours of calls it concerns.

In: the seeds' folder and a client. Out: a Pending. The hours of a model are those in which somebody called it by any
name (int_model_hours, int_model_names); where nothing was built yet there are none, and nothing to restate.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from ingest.settings import Settings

_VERSIONED: Final = ("provider", "model", "price_version")


@dataclass(frozen=True, slots=True)
class Pending:
    """Models whose prices stand in the file and not in the table, or the other way round; hours of their calls."""

    models: Sequence[tuple[str, str]]
    hours: int
    is_table_there: bool

    @property
    def is_due(self) -> bool:
        return self.hours > 0

    @property
    def words(self) -> str:
        if not self.is_table_there:
            return "the seeds were never read into the warehouse: the job everything does it"
        if not self.models:
            return "the warehouse prices by what the seeds say"
        named = ", ".join(f"{provider}/{model}" for provider, model in self.models[:10])
        more = f" and {len(self.models) - 10} more" if len(self.models) > 10 else ""
        return (
            f"{len(self.models)} models are priced otherwise in the seeds than in the warehouse, over {self.hours:,} "
            f"hours of calls: {named}{more}. The job price_restatement rebuilds them"
        )


def pending(client: "Client", settings: "Settings", seeds: Path) -> Pending:
    """Compares the file with the table."""
    intermediate = f"{settings.database_prefix}{settings.models_prefix}intermediate"
    there = {
        str(row[0])
        for row in client.query(
            "select name from system.tables where database = {database:String}", parameters={"database": intermediate}
        ).result_rows
    }
    if "model_prices" not in there:
        return Pending((), 0, is_table_there=False)
    stored = {
        (str(row[0]), str(row[1]), str(row[2]))
        for row in client.query(f"select distinct {', '.join(_VERSIONED)} from {intermediate}.model_prices").result_rows  # noqa: S608
    }
    models = sorted({(provider, model) for provider, model, _ in stored ^ _in_file(seeds / "model_prices.csv")})
    if not models or not {"int_model_hours", "int_model_names"} <= there:
        return Pending(models, 0, is_table_there=True)
    hours = client.query(
        "select uniqExact(hours.workspace_id, hours.occurred_hour) "  # noqa: S608
        f"from {intermediate}.int_model_hours as hours inner join {intermediate}.int_model_names as names "
        "on hours.reported_provider = names.reported_provider and hours.reported_model = names.reported_model "
        "where (names.price_provider, names.price_model) in {models:Array(Tuple(String, String))}",
        parameters={"models": models},
    ).result_rows[0][0]
    return Pending(models, int(hours), is_table_there=True)


def _in_file(file: Path) -> set[tuple[str, str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return {(row["provider"], row["model"], row["price_version"]) for row in csv.DictReader(opened)}
