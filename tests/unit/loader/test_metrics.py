"""The registry is closed: names, kinds and labels are checked, and the page about them is equal to it."""

from pathlib import Path

import pytest

from ingest.loader.metrics import Metric, Metrics, as_markdown

ROOT = Path(__file__).parents[3]


def test_every_metric_can_be_written_and_is_shown_under_its_name() -> None:
    metrics = Metrics()
    for metric in Metric:
        labels = dict.fromkeys(metric.value.labels, "1")
        if metric.value.kind == "counter":
            metrics.count(metric, 3, **labels)
        elif metric.value.kind == "gauge":
            metrics.set(metric, 3, **labels)
        else:
            metrics.observe(metric, 3, **labels)
    text = metrics.render().decode()
    for metric in Metric:
        spec = metric.value
        sample = spec.name + ("_sum" if spec.kind == "histogram" else "")
        labels_text = "{" + ",".join(f'{name}="1"' for name in sorted(spec.labels)) + "}" if spec.labels else ""
        assert f"\n{sample}{labels_text} 3.0\n" in text
    assert "_created" not in text
    assert "process_resident_memory_bytes" in text


def test_names_follow_prometheus_and_none_is_used_twice() -> None:
    names = [metric.value.name for metric in Metric]
    assert len(set(names)) == len(names)
    for metric in Metric:
        spec = metric.value
        assert spec.name.startswith("meterhouse_loader_")
        assert spec.name.endswith("_total") == (spec.kind == "counter")
        assert bool(spec.buckets) == (spec.kind == "histogram")
        assert list(spec.buckets) == sorted(set(spec.buckets))


def test_a_wrong_kind_and_wrong_labels_raise() -> None:
    metrics = Metrics()
    with pytest.raises(ValueError, match="LAG is a gauge, not a counter"):
        metrics.count(Metric.LAG, topic="a", partition="0")
    with pytest.raises(ValueError, match="LOOP_TURNS is a counter, not a gauge"):
        metrics.set(Metric.LOOP_TURNS, 1)
    with pytest.raises(ValueError, match="BUFFER_BYTES is a gauge, not a histogram"):
        metrics.observe(Metric.BUFFER_BYTES, 1)
    with pytest.raises(ValueError, match=r"has the labels \['topic', 'error_class'\], came \['topic'\]"):
        metrics.count(Metric.REJECTED, topic="a")
    with pytest.raises(ValueError, match=r"has the labels \[\], came \['topic'\]"):
        metrics.count(Metric.LOOP_TURNS, topic="a")


def test_a_forgotten_series_is_gone_and_its_neighbour_is_not() -> None:
    metrics = Metrics()
    for partition in ("0", "1"):
        metrics.set(Metric.LAG, 5, topic="a", partition=partition)
    metrics.forget(Metric.LAG, topic="a", partition="0")
    text = metrics.render().decode()
    assert 'partition="0"' not in text
    assert 'meterhouse_loader_lag{partition="1",topic="a"} 5.0' in text


def test_two_of_them_in_one_process_do_not_share_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.count(Metric.LOOP_TURNS)
    assert b"loop_turns_total 0.0" in other.render()


def test_the_page_is_the_registry() -> None:
    assert (ROOT / "docs" / "loader-metrics.md").read_text() == as_markdown()
