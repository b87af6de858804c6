"""An alert is a model, its YAML and its page: what the row of an alert points to is there."""

import re
from pathlib import Path

import pytest

from orchestration.lib.alerts.engine import SENSOR_RULES

ROOT = Path(__file__).parents[3]
# What says when each was judged is none.
ALERTS = sorted(path for path in ROOT.glob("models/alerts/**/alert_*.sql") if path.stem != "alert_evaluations")


@pytest.mark.parametrize("path", ALERTS, ids=lambda path: path.stem)
def test_an_alert_has_its_description_and_the_runbook_its_row_names(path: Path) -> None:
    rule = path.stem.removeprefix("alert_")
    assert path.with_suffix(".yml").exists(), f"{path.name} expected a YAML of the same name beside it"
    assert (ROOT / f"docs/runbooks/{rule}.md").exists(), f"{path.name} expected docs/runbooks/{rule}.md"
    assert re.search(rf"rule_id='{rule}'", path.read_text(encoding="utf-8")), f"{path.name} expected rule_id='{rule}'"


def test_every_runbook_is_of_an_alert_that_exists() -> None:
    rules = {path.stem.removeprefix("alert_") for path in ALERTS} | SENSOR_RULES
    pages = {path.stem for path in ROOT.glob("docs/runbooks/*.md")} - {"README"}
    assert pages == rules, f"runbooks of no alert, or none of an alert: {sorted(pages ^ rules)}"
