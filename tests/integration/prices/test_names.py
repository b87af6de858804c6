"""Names as they come, resolved by the project's SQL: as genai-prices does, and the spellings that it leaves out."""

import csv
import re
from functools import cache
from pathlib import Path

import pytest
from genai_prices.data_snapshot import get_snapshot

from ingest.prices.names import Rule, load
from ingest.simulate.catalogue import SPELLINGS
from tests.integration.prices.sql import ROOT, Row, build, literal, load_seeds, run

Pair = tuple[str, str]

with (Path(__file__).parent / "spellings.csv").open(newline="") as lines:
    SPELLED = {(row[0], row[1]): row[2:] for row in list(csv.reader(lines))[1:]}
"""(provider, model) as reported to provider, model and price_model as meant; the last is empty where there is none."""


@cache
def resolved() -> dict[Pair, Row]:
    pairs = {*SPELLED, *package_pairs(), *((provider, model) for provider, model, _ in SPELLINGS)}
    rows = ", ".join(f"({literal(provider)}, {literal(model)})" for provider, model in sorted(pairs))
    statements = [
        *load_seeds(),
        "create table int_called_models (reported_provider String, reported_model String) engine = Memory",
        f"insert into int_called_models values {rows}",
        build("int_model_name_forms"),
        build("int_model_names"),
        "select * from int_model_names",
    ]
    (found,) = run(statements)
    assert len(found) == len(pairs)
    return {(str(row["reported_provider"]), str(row["reported_model"])): row for row in found}


@cache
def package_pairs() -> frozenset[Pair]:
    """A name for each rule of the package, as it may come."""
    rules = load(ROOT / "seeds" / "model_name_rules.csv")
    return frozenset((rule.provider, name) for rule in rules for name in names(rule))


def names(rule: Rule) -> list[str]:
    if rule.kind == "regex":
        dashed = re.sub(r"\\d\{4\}-\\d\{2\}-\\d\{2\}", "2026-10-21", rule.pattern)
        return [re.sub(r"\\d\{8\}", "20261021", dashed).strip("^$")]
    if rule.kind == "equals":
        return [rule.pattern]
    longer = {"starts_with": "{}-001", "ends_with": "x/{}", "contains": "eu.{}-v3:0"}[rule.kind]
    return [rule.pattern, longer.format(rule.pattern), f"{rule.pattern}-20261021"]


def test_every_name_that_genai_prices_knows_means_the_same_model_here() -> None:
    snapshot, wrong, known = get_snapshot(), [], 0
    for provider, name in package_pairs():
        try:
            theirs = snapshot.find_provider_model(name, None, provider, None)[1]
        except LookupError:
            continue
        known += 1
        ours = resolved()[provider, name]
        if ours["price_model"] != theirs.id:
            wrong.append((provider, name, theirs.id, ours["price_model"]))
    assert wrong == []
    assert known > 3_000


@pytest.mark.parametrize("pair", SPELLED, ids=str)
def test_a_spelling_from_the_wild_means(pair: Pair) -> None:
    row = resolved()[pair]
    provider, model, price_model = SPELLED[pair]
    assert (row["provider"], row["model"]) == (provider, model)
    assert ("" if row["resolved_by"] == "none" else row["price_model"]) == price_model


def test_of_the_simulators_names_only_the_house_model_is_unknown() -> None:
    unknown = {model for provider, model, _ in SPELLINGS if resolved()[provider, model]["resolved_by"] == "none"}
    assert unknown == {"house-router-7b"}


def test_a_snapshot_without_a_rule_is_told_apart_from_a_name_that_has_one() -> None:
    assert resolved()["OpenAI", " gpt-4o-2027-01-31 "]["resolved_by"] == "snapshot"
    assert resolved()["openai", "gpt-4o-2024-08-06"]["resolved_by"] == "name"
    assert resolved()["azure.ai.openai", "gpt-35-turbo"]["resolved_by"] == "alias"
