"""The seeds in the repository are what the pinned package gives, and a seed that is not what it says is refused."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.cli import app
from ingest.errors import MeterhouseError
from ingest.prices import names, seed
from ingest.prices.package import read_package

SEEDS = Path(__file__).parents[3] / "seeds"
GPT_4O = "openai,gpt-4o,standard,"
DEEPSEEK = "deepseek,deepseek-chat,standard,"
MOST_BYTES = 1 << 20
"""dbt does not notice changes of a seed above this size."""


def run(folder: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["prices", "--seeds", str(folder), *options])
    return result.exit_code, result.output


def test_the_seeds_in_the_repository_are_what_the_pinned_package_gives() -> None:
    assert run(SEEDS, "--check")[0] == 0, "run meterhouse prices, and read what it says"
    assert max(file.stat().st_size for file in SEEDS.glob("*.csv")) < MOST_BYTES


def test_seeds_that_are_behind_fail_the_check_are_shown_by_a_dry_run_and_mended_by_a_run(
    tmp_path: Path,
) -> None:
    rows = (SEEDS / seed.FILE).read_text().splitlines(keepends=True)
    behind = [row for row in rows if not row.startswith("openai,gpt-4o,")]
    (tmp_path / seed.FILE).write_text("".join(behind))
    (tmp_path / names.FILE).write_text((SEEDS / names.FILE).read_text())
    assert run(tmp_path, "--check")[0] == 1
    code, output = run(tmp_path, "--dry-run")
    assert (code, (tmp_path / seed.FILE).read_text()) == (0, "".join(behind))
    assert "+openai,gpt-4o,standard,1970-01-01," in output
    assert run(tmp_path)[0] == 0
    assert (tmp_path / seed.FILE).read_text() == "".join(rows)


@pytest.mark.parametrize(
    ("was", "becomes", "complaint"),
    [
        (f"{GPT_4O}1970-01-01,,0,86400,0,,2.5,", f"{GPT_4O}1970-01-01,,0,86400,0,,2.4,", "not edited"),
        (f"{DEEPSEEK}1970-01-01,,0,1800", f"{DEEPSEEK}1970-01-01,,0,900", "not edited"),
        (f"{GPT_4O}1970-01-01,,0", f"{GPT_4O}1970-01-01,2026-01-01,0", "no price from 2026-01-01 on"),
        (f"{GPT_4O}1970-01-01,", f"{GPT_4O}01.01.1970,", "line "),
        ("openai,gpt-4o,standard,", "openai,gpt-4o,cheap,", "service_tier is one of"),
        ("provider,model,", "vendor,model,", "expected the columns"),
    ],
)  # fmt: skip
def test_a_seed_edited_by_hand_is_refused_with_what_is_wrong(
    tmp_path: Path, was: str, becomes: str, complaint: str
) -> None:
    text = (SEEDS / seed.FILE).read_text()
    assert was in text
    file = tmp_path / seed.FILE
    file.write_text(text.replace(was, becomes))
    with pytest.raises(MeterhouseError, match=complaint):
        seed.load(file)


def test_a_row_taken_out_of_a_period_leaves_a_gap_that_is_refused(tmp_path: Path) -> None:
    key = next(key for key, timeline in read_package().timelines.items() if len(timeline) > 2)
    timelines = seed.load(SEEDS / seed.FILE)
    timelines[key] = (timelines[key][0], *timelines[key][2:])
    file = tmp_path / seed.FILE
    file.write_text(seed.dump(timelines))
    with pytest.raises(MeterhouseError, match=f"there is no price from {timelines[key][0].end}"):
        seed.load(file)


def test_outside_of_a_project_the_command_says_where_to_run_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["prices"])
    assert isinstance(result.exception, MeterhouseError)
    assert "--seeds" in str(result.exception)
