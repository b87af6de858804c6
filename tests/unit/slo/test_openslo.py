"""OpenSLO v1 becomes rows of seeds/slo_objectives.csv, or one sentence that says why not."""

from decimal import Decimal
from pathlib import Path

import pytest

from ingest.slo.objectives import COLUMNS, Objective, ObjectiveError, merge
from ingest.slo.openslo import Reading, read_openslo

LATENCY = """
apiVersion: openslo/v1
kind: SLO
metadata:
  name: support_answers_in_30_s
  labels: {owner: support}
spec:
  budgetingMethod: Occurrences
  timeWindow: [{duration: 4w, isRolling: true}]
  indicator:
    metadata: {name: answers}
    spec:
      thresholdMetric:
        metricSource:
          type: meterhouse
          spec: {indicator: llm_latency, agent: support-triage, min_events: 40}
  objectives: [{op: lte, value: 30000, targetPercent: 99.5}]
"""
SHARED = """
apiVersion: openslo/v1
kind: SLI
metadata: {name: calls}
spec:
  ratioMetric:
    good: {metricSource: {type: meterhouse, spec: {indicator: llm_success, model: aws/*}}}
    total: {metricSource: {type: meterhouse, spec: {indicator: llm_success, model: aws/*}}}
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: pages}
spec: {}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: bedrock}
spec:
  timeWindow: [{duration: 720h, isRolling: true}]
  indicatorRef: calls
  objectives: [{target: 0.99}, {target: 0.999}]
"""


def read(text: str) -> Reading:
    return read_openslo(text, "file.yaml", owner="oncall", min_events=50)


def test_a_latency_objective_keeps_its_threshold_window_scope_and_owner() -> None:
    assert read(LATENCY).objectives == [
        Objective(
            id="support_answers_in_30_s",
            indicator="llm_latency",
            agent="support-triage",
            threshold=Decimal("30000.0"),
            objective=Decimal("0.995"),
            window_days=28,
            min_events=40,
            owner="support",
        )
    ]


def test_an_sli_of_the_same_file_is_found_and_each_target_becomes_a_row() -> None:
    reading = read(SHARED)
    assert [(one.id, one.model, one.objective, one.window_days) for one in reading.objectives] == [
        ("bedrock-1", "aws/*", Decimal("0.99"), 30),
        ("bedrock-2", "aws/*", Decimal("0.999"), 30),
    ]
    assert reading.left_out == ["AlertPolicy pages"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("openslo/v1", "openslo/v2alpha", "apiVersion openslo/v1 expected"),
        ("Occurrences", "Timeslices", "budgetingMethod Occurrences expected"),
        ("isRolling: true", "isRolling: false", "calendar windows are not kept here"),
        ("4w", "1M", "whole days or weeks"),
        ("4w", "90d", "slo_lookback_days"),
        ("type: meterhouse", "type: prometheus", "metricSource of type meterhouse expected"),
        ("agent: support-triage", "tool_name: web_search", "llm_latency can be narrowed by"),
        ("agent: support-triage", "agnet: support-triage", "agnet"),
        ("llm_latency", "llm_speed", "indicator expected one of"),
        ("op: lte", "op: gte", "op lte expected"),
        ("op: lte, value: 30000, ", "", "needs a threshold in milliseconds"),
        ("llm_latency", "llm_success", "has no threshold"),
        ("targetPercent: 99.5", "targetPercent: 100.5", "at most 1 (100 %) expected"),
        ("targetPercent: 99.5", "target: 0.995, targetPercent: 99.5", "came 2 of them"),
        ("targetPercent: 99.5", "target: most", "a number expected as target"),
        ("kind: SLO", "kind: SLA", "at least one document of kind SLO"),
        ("metadata:\n  name: support_answers_in_30_s", "metadata:\n  title: x", "name"),
        ("spec:\n  budget", "spec: [\n  budget", "YAML expected"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_file_and_the_reason(old: str, new: str, sentence: str) -> None:
    assert old in LATENCY
    with pytest.raises(ObjectiveError) as caught:
        read(LATENCY.replace(old, new))
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("file.yaml")


def test_two_slos_of_one_name_are_refused() -> None:
    with pytest.raises(ObjectiveError, match="twice"):
        read(LATENCY + "---" + LATENCY)


def test_import_replaces_by_id_appends_what_is_new_and_leaves_other_rows_as_they_are_spelled(tmp_path: Path) -> None:
    path = tmp_path / "slo_objectives.csv"
    other = "tools,tool_success,*,*,*,web_search,,0.9900,30,40,oncall"
    path.write_text(
        f"{','.join(COLUMNS)}\n{other}\nsupport_answers_in_30_s,llm_latency,*,*,*,*,9,0.9,30,1,me\n", encoding="utf-8"
    )
    merged = merge(path, [*read(LATENCY).objectives, *read(SHARED).objectives])
    merged.write()
    assert path.read_text(encoding="utf-8").splitlines()[1:] == [
        other,
        "support_answers_in_30_s,llm_latency,*,support-triage,*,*,30000,0.995,28,40,support",
        "bedrock-1,llm_success,*,*,aws/*,*,,0.99,30,50,oncall",
        "bedrock-2,llm_success,*,*,aws/*,*,,0.999,30,50,oncall",
    ]
    assert merged.changed == ["support_answers_in_30_s"]
    assert merged.added == ["bedrock-1", "bedrock-2"]
    again = merge(path, read(SHARED).objectives)
    assert (again.added, again.changed, again.unchanged) == ([], [], ["bedrock-1", "bedrock-2"])


def test_a_seed_with_other_columns_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "slo_objectives.csv"
    path.write_text("id,goal\nx,1\n", encoding="utf-8")
    with pytest.raises(ObjectiveError, match="columns"):
        merge(path, read(LATENCY).objectives)
    assert path.read_text(encoding="utf-8") == "id,goal\nx,1\n"
