"""What dbt is told for a build, without a warehouse."""

import json
from datetime import date

import pytest

from ingest.errors import MeterhouseError
from orchestration.lib.dbt_args import Build, Days, Selected, dbt_args

DAILY = Selected(("meterhouse", "marts", "llm", "llm_daily"))
HOURLY = Selected(("meterhouse", "marts", "llm", "llm_hourly"))
PRICES = Selected(("meterhouse", "model_prices"))
GRAIN = Selected(("meterhouse", "marts", "llm", "unique_grain_llm_daily_day"))


def chosen(arguments: list[str]) -> list[str]:
    after = arguments[arguments.index("--select") + 1 :]
    return [word for word in after if word.startswith("fqn:")]


def test_what_arrived_is_built_without_variables_for_they_would_parse_the_project_anew() -> None:
    arguments = dbt_args(Build(models=[HOURLY, DAILY]), "profiles")
    assert arguments == [
        "run", "--profiles-dir", "profiles", "--select",
        "fqn:meterhouse.marts.llm.llm_daily", "fqn:meterhouse.marts.llm.llm_hourly",
    ]  # fmt: skip


def test_a_backfill_names_its_first_and_last_day() -> None:
    arguments = dbt_args(Build(models=[DAILY], days=Days(date(2026, 11, 1), date(2026, 11, 7))), "profiles")
    assert json.loads(arguments[arguments.index("--vars") + 1]) == {"from_day": "2026-11-01", "to_day": "2026-11-07"}


def test_only_the_chosen_tests_run_and_they_stop_what_stands_below() -> None:
    arguments = dbt_args(Build(models=[DAILY], tests=[GRAIN]), "profiles")
    assert arguments[0] == "build"
    assert arguments[arguments.index("--indirect-selection") + 1] == "empty"
    assert arguments[arguments.index("--exclude-resource-type") + 1] == "unit_test"
    assert chosen(arguments) == [DAILY.words, GRAIN.words]


@pytest.mark.parametrize(
    ("build", "command"),
    [(Build(seeds=[PRICES]), "seed"), (Build(tests=[GRAIN]), "test"), (Build(seeds=[PRICES], models=[DAILY]), "build")],
    ids=["seeds", "tests", "both"],
)
def test_the_command_knows_the_kinds_it_is_given(build: Build, command: str) -> None:
    assert dbt_args(build, "profiles")[0] == command


def test_a_full_refresh_says_so_and_has_no_days() -> None:
    assert "--full-refresh" in dbt_args(Build(models=[DAILY], full_refresh=True), "profiles")
    days = Days(date(2026, 11, 1), date(2026, 11, 1))
    with pytest.raises(MeterhouseError, match="choose one of the two"):
        dbt_args(Build(models=[DAILY], days=days, full_refresh=True), "profiles")


def test_an_empty_selection_is_refused_for_dbt_would_take_it_for_everything() -> None:
    with pytest.raises(MeterhouseError, match="Nothing is selected"):
        dbt_args(Build(), "profiles")


def test_days_that_end_before_they_begin_are_refused() -> None:
    with pytest.raises(MeterhouseError, match="are none"):
        dbt_args(Build(models=[DAILY], days=Days(date(2026, 11, 2), date(2026, 11, 1))), "profiles")
