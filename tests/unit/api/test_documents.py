"""docs/front-door.md names every metric, and every alias that is rewritten."""

from pathlib import Path

from ingest.api.aliases import FIELD_ALIASES, TYPE_ALIASES
from ingest.api.metrics import Metric, Metrics

PAGE = (Path(__file__).parents[3] / "docs" / "front-door.md").read_text()


def test_the_page_names_every_metric_and_every_older_spelling() -> None:
    for name in [metric.value.name for metric in Metric] + [*FIELD_ALIASES, *TYPE_ALIASES]:
        assert f"`{name}`" in PAGE


def test_names_that_strangers_choose_cannot_fill_the_metrics() -> None:
    metrics = Metrics()
    for number in range(1_000):
        metrics.count_name(f"name{number}", 1)
    assert metrics.render().count(b"meterhouse_door_unknown_fields_total{") == 201
