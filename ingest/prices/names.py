"""seeds/model_name_rules.csv: which name of a model means which priced model, as the package genai-prices matches it.

In: the package's match logic. Out: one row a rule: for calls to `provider`, a name in lower case that equals (starts
with, ends with, contains, matches the RE2 expression) `pattern`, and does not match `unless`, means the catalogue's
`price_model` of `price_provider`; people read it as `model`, which is the same whoever serves it. Where several rules
match, the lowest `step`, then the first `price_model` wins: the package's order. What cannot be said so is named, not
dropped in silence. Rules of models that the package no longer names stay, as their prices do.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from genai_prices import types as gp
from genai_prices.data_snapshot import DataSnapshot, get_snapshot

from ingest.errors import MeterhouseError

FILE = "model_name_rules.csv"
KINDS = ("equals", "starts_with", "ends_with", "contains", "regex")
_NEVER = re.compile(r"\^\(\?!\.\*(?P<unwanted>.+)\)$")
_REGION = re.compile(r"^(regional|global)\.")
_VERSION = re.compile(r"(-v\d+)?(:\d+)?$")
_REVISION = re.compile(r":\d+$")
_VARIANT = re.compile(r":[a-z]+$")
"""How openrouter marks a way of serving: `:free`, `:batch`, `:thinking`."""
_SNAPSHOT = re.compile(r"([-@](\d{2}-\d{4}|\d{2}-\d{2}|\d{4}-\d{2}-\d{2}|\d{3,8}|latest))?")
_VENDORS = {
    "anthropic": "anthropic", "openai": "openai", "google": "google", "mistral": "mistral", "mistralai": "mistral",
    "deepseek": "deepseek", "deepseek-ai": "deepseek", "x-ai": "x-ai", "cohere": "cohere", "moonshotai": "moonshotai",
    "perplexity": "perplexity", "zai": "zai", "z-ai": "zai", "zai-org": "zai",
}  # fmt: skip
"""What hosts write before a model's name, as `vendor/` or `vendor.`, and the catalogue's provider it means."""
_MAKERS = frozenset(_VENDORS.values())


@dataclass(frozen=True, order=True)
class Rule:
    """One row. `step` is 0 for the provider's own models, then 1, 2, … for the providers whose models it serves too."""

    provider: str
    step: int
    price_provider: str
    price_model: str
    kind: str
    pattern: str
    unless: str
    model: str


COLUMNS = tuple(field.name for field in fields(Rule))


def read_rules(snapshot: DataSnapshot | None = None) -> tuple[list[Rule], list[str]]:
    """The package's rules, sorted, and a sentence for each that cannot be written as one."""
    providers = (snapshot or get_snapshot()).providers
    by_id = {provider.id: provider for provider in providers}
    rules: set[Rule] = set()
    left_out: list[str] = []
    for provider in providers:
        sources = [provider, *(by_id[name] for name in provider.fallback_model_providers or () if name in by_id)]
        for step, source in enumerate(sources):
            if [one.id for one in source.models] != sorted(one.id for one in source.models):
                raise MeterhouseError(
                    f"the models of {source.id} in the installed genai-prices are not in alphabetical order; a name "
                    "that two of them match would be resolved otherwise than the package does: give Rule a rank"
                )
            for model in source.models:
                name = canonical_name(source.id, model.id, providers)
                for kind, pattern, unless in _flat(model.match):
                    rule = Rule(provider.id, step, source.id, model.id, kind, pattern.lower(), unless, name)
                    if any(_is_not_re2(regex) for regex in (pattern if kind == "regex" else "", unless)):
                        left_out.append(f"{provider.id} {model.id}: {kind} {pattern}")
                    elif kind:
                        rules.add(rule if kind != "regex" else replace(rule, pattern=pattern))
                    else:
                        left_out.append(f"{provider.id} {model.id}: {pattern}")
    return sorted(rules), left_out


def _flat(clause: gp.MatchLogic) -> Iterator[tuple[str, str, str]]:
    """(kind, pattern, unless) of each alternative; kind is empty where the alternative is no single pattern."""
    match clause:
        case gp.ClauseEquals(equals=pattern):
            yield "equals", pattern, ""
        case gp.ClauseStartsWith(starts_with=pattern):
            yield "starts_with", pattern, ""
        case gp.ClauseEndsWith(ends_with=pattern):
            yield "ends_with", pattern, ""
        case gp.ClauseContains(contains=pattern):
            yield "contains", pattern, ""
        case gp.ClauseRegex(regex=pattern):
            yield "regex", pattern, ""
        case gp.ClauseOr(or_=clauses):
            for one in clauses:
                yield from _flat(one)
        case gp.ClauseAnd(and_=[first, gp.ClauseRegex(regex=regex)]) if found := _NEVER.match(regex):
            for kind, pattern, unless in _flat(first):
                yield (kind, pattern, found["unwanted"]) if not unless else ("", str(clause), "")
        case _:
            yield "", str(clause), ""


def _is_not_re2(pattern: str) -> bool:
    """Whether an expression uses what ClickHouse's RE2 has not: looking around, back references."""
    return bool(re.search(r"\(\?(=|!|<=|<!|P=)|\\[1-9]", pattern))


def canonical_name(provider: str, model: str, providers: list[gp.Provider]) -> str:
    """What people call a model, whoever serves it: its maker's name for it, else the catalogue's without its host's.

    `regional.anthropic.claude-sonnet-4-5-20250929-v1:0` of aws and `anthropic/claude-sonnet-4.5` of openrouter are both
    `claude-sonnet-4-5`.
    """
    if provider in _MAKERS and "/" not in model:
        return model.lower()
    *path, bare = model.lower().split("/")
    bare = _REGION.sub("", bare)
    vendor = path[-1].lstrip("~@") if path else ""
    if not path and provider == "aws" and "." in bare:
        vendor, bare = bare.split(".", 1)
    maker = _VENDORS.get(vendor)
    bare = (_VERSION if maker else _REVISION).sub("", _VARIANT.sub("", bare))
    for home in providers:
        if home.id == maker or (maker is None and home.model_match is not None and home.model_match.is_match(bare)):
            spellings = (bare, bare.replace(".", "-"), f"{vendor}-{bare}")
            return next((one.id.lower() for name in spellings for one in home.models if _names(one, name)), bare)
    return bare


def _names(model: gp.ModelInfo, name: str) -> bool:
    """Whether a name is that model's or its snapshot's.

    A pattern may match more: all of deepseek-r1-distill-* is priced as deepseek-reasoner where DeepSeek sells it, and
    is still another model.
    """
    for kind, pattern, unless in _flat(model.match):
        if kind == "regex" and re.search(pattern, name):
            return True
        if kind == "equals" and pattern.lower() == name:
            return True
        is_wanted = not unless or not re.search(unless, name)
        if kind in ("starts_with", "contains") and is_wanted and _is_snapshot(pattern.lower(), name):
            return True
    return False


def _is_snapshot(pattern: str, name: str) -> bool:
    rest = name.removeprefix(pattern)
    is_rest_of_date = bool(re.search(r"-20\d\d$", pattern) and re.fullmatch(r"\d{4}", rest))
    return name.startswith(pattern) and bool(is_rest_of_date or _SNAPSHOT.fullmatch(rest))


def keep_dropped(seed: list[Rule], package: list[Rule]) -> list[Rule]:
    """The package's rules, and the seed's of the models that the package has no rule for any more."""
    named = {(rule.provider, rule.price_provider, rule.price_model) for rule in package}
    kept = [rule for rule in seed if (rule.provider, rule.price_provider, rule.price_model) not in named]
    return sorted({*package, *kept})


def dump(rules: list[Rule]) -> str:
    """The seed's text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(rule) for rule in rules)
    return text.getvalue()


def load(file: Path) -> list[Rule]:
    """The seed as rules; a file that is not there is an empty seed. Raises MeterhouseError with the line."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    rules = []
    for number, row in enumerate(rows[1:], start=2):
        if tuple(rows[0]) != COLUMNS or len(row) != len(COLUMNS) or not row[1].isdecimal() or row[4] not in KINDS:
            raise MeterhouseError(
                f"{file}, line {number}: expected {','.join(COLUMNS)}; take the file back from git: it is written by "
                "meterhouse prices"
            )
        provider, step, *rest = row
        rules.append(Rule(provider, int(step), *rest))
    return rules
