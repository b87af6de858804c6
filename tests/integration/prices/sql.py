"""The project's pricing SQL on an engine of its own: seeds loaded with their declared types, models rendered and built.

Only refs and configs are stood in for; macros, models and seeds are the project's files. The engine lives in a process
of its own, since one process may hold one chDB.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2
import yaml

ROOT = Path(__file__).parents[3]
SEEDS = ("model_prices", "model_price_overrides", "model_name_rules", "model_aliases", "provider_aliases")
SETTINGS = "set join_use_nulls = 1, prefer_column_name_to_alias = 1, output_format_json_quote_decimals = 1"
"""The first two are the project's (dbt_project.yml, profiles.yml)."""
Row = dict[str, str | int | bool | None]

_ENGINE = """
import json, sys
from chdb.session import Session
session = Session()
answers = []
for script in json.load(sys.stdin):
    for statement in script:
        answer = str(session.query(statement, "JSONEachRow"))
    answers.append([json.loads(line) for line in answer.splitlines()])
json.dump(answers, sys.stdout)
"""


def render(text: str, **values: object) -> str:
    """A model's or a test's SQL with the project's pricing macros; a ref is the table of that name."""
    macros = "".join(file.read_text() for file in sorted((ROOT / "macros" / "pricing").glob("*.sql")))
    ref: Callable[[str], str] = lambda name: name  # noqa: E731
    config: Callable[..., str] = lambda **_: ""  # noqa: E731
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)  # noqa: S701
    return environment.from_string(macros + text).render(ref=ref, config=config, **values)


def build(model: str, engine: str = "Memory") -> str:
    """The statement that makes an intermediate model."""
    text = (ROOT / "models" / "intermediate" / f"{model}.sql").read_text()
    return f"create or replace table {model} engine = {engine} as {render(text)}"


def load_seed(name: str, file: Path | None = None) -> list[str]:
    """The statements that make one seed anew, from the project's file or another."""
    declared = yaml.safe_load((ROOT / "seeds" / f"{name}.yml").read_text())["seeds"][0]["config"]["column_types"]
    columns = ", ".join(f"{column} {kind}" for column, kind in declared.items())
    source = f"file({literal(file or ROOT / 'seeds' / f'{name}.csv')}, CSVWithNames, {literal(columns)})"
    return [
        f"create or replace table {name} ({columns}) engine = Memory",
        f"insert into {name} select * from {source}",
    ]


def load_seeds() -> list[str]:
    """The statements that make all seeds of prices and names."""
    return [statement for name in SEEDS for statement in load_seed(name)]


def run(*scripts: Sequence[str]) -> list[list[Row]]:
    """Run scripts one after another in one engine; the rows of each one's last statement."""
    done = subprocess.run(
        [sys.executable, "-c", _ENGINE],
        input=json.dumps([[SETTINGS], *scripts]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[list[Row]] = json.loads(done.stdout)
    return answers[1:]


def literal(value: object) -> str:
    """A value as SQL writes it."""
    if value is None:
        return "null"
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
