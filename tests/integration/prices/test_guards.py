"""The singular tests on prices find what they are there for, and nothing in the seeds of the repository."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.prices.sql import ROOT, Row, build, load_seed, load_seeds, render, run

FIRST = {
    "workspace_id": "acme", "provider": "openai", "model": "gpt-4o", "valid_from": "2026-01-01",
    "valid_to": "2026-07-01", "input_usd_per_mtok": "2", "output_usd_per_mtok": "8", "source": "contract",
    "version": "1",
}  # fmt: skip
NEXT = FIRST | {"valid_from": "2026-07-01", "valid_to": "", "version": "2"}
SOUND = (FIRST, NEXT)


@dataclass(frozen=True)
class Case:
    """Overrides, what is done to int_model_prices after, and what `column` of the failing rows of `guard` is then."""

    title: str
    guard: str
    overrides: tuple[dict[str, str], ...] = SOUND
    damage: str = "select 1"
    column: str = ""
    found: tuple[str, ...] = field(default=())


def overlap(title: str, **second: str) -> Case:
    overrides = (FIRST, NEXT | second)
    return Case(title, "model_prices_do_not_overlap", overrides, column="other_price_version", found=("override-2",))


def no_price(complaint: str, **wrong: str) -> Case:
    return Case(complaint, "model_price_overrides_are_prices", (FIRST | wrong,), column="complaint", found=(complaint,))


def uncovered(title: str, damage: str, prices: str = "0") -> Case:
    damage = f"alter table int_model_prices {damage} settings mutations_sync = 2"
    return Case(title, "model_prices_cover_every_call_once", SOUND, damage, "prices", (prices,))


CASES = (
    *(Case(f"sound: {file.stem}", file.stem) for file in sorted((ROOT / "tests" / "dbt").glob("model_price*.sql"))),
    overlap("a day early", valid_from="2026-06-30"),
    overlap("one of all tiers", valid_from="2026-06-30", service_tier="batch"),
    overlap("a price of large prompts too", valid_from="2026-02-01", prompt_tokens_from="200001"),
    Case(
        "a hole",
        "model_price_overrides_have_no_gaps",
        (FIRST, NEXT | {"valid_from": "2026-07-02"}),
        column="gap_to",
        found=("2026-07-02 00:00:00",),
    ),
    no_price("a rate below zero", input_usd_per_mtok="-1"),
    no_price("more than six decimals", input_usd_per_mtok="0.0000005"),
    no_price("no rate", input_usd_per_mtok="", output_usd_per_mtok=""),
    no_price("it ends before it begins", valid_to="2026-01-01"),
    no_price("no prompt is in its range", prompt_tokens_to="0"),
    Case(
        "a name that nobody knows",
        "model_price_overrides_name_known_models",
        (FIRST | {"model": "gpt-4-o"}, FIRST),
        column="model",
        found=("gpt-4-o",),
    ),
    uncovered("an hour of the day", "delete where price_model = 'deepseek-chat' and daily_from_s = 1800"),
    uncovered("large prompts", "delete where price_model = 'gemini-2.5-pro' and prompt_tokens_from > 0"),
    uncovered("from a day on", "update valid_to = '2026-01-01' where price_model = 'gpt-4o' and not is_override"),
    uncovered("two at once", "update daily_to_s = 1801 where price_model = 'deepseek-chat' and daily_to_s = 1800", "2"),
)


@pytest.fixture(scope="module")
def failing_rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """What each case's guard selects, all in one engine."""
    folder = tmp_path_factory.mktemp("overrides")
    ground = [
        *load_seeds(),
        "create table int_called_models (reported_provider String, reported_model String) engine = Memory",
        build("int_model_name_forms"),
        build("int_model_names"),
    ]
    scripts = [script(case, folder / f"{number}.csv") for number, case in enumerate(CASES)]
    return dict(zip((case.title for case in CASES), run(ground, *scripts)[1:], strict=True))


def script(case: Case, file: Path) -> list[str]:
    columns = (ROOT / "seeds" / "model_price_overrides.csv").read_text().splitlines()[0].split(",")
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, columns, restval="")
        writer.writeheader()
        writer.writerows(case.overrides)
    return [
        *load_seed("model_price_overrides", file),
        build("int_model_prices", engine="MergeTree order by price_model"),
        case.damage,
        render((ROOT / "tests" / "dbt" / f"{case.guard}.sql").read_text()),
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_guard_of_prices_finds(case: Case, failing_rows: dict[str, list[Row]]) -> None:
    found = {str(row[case.column]) for row in failing_rows[case.title]} if case.column else failing_rows[case.title]
    assert list(found) == list(case.found)
