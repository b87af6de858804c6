"""Who is told, by the file; and a wrong file, in a sentence that says where."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.lib.alerts.engine import SENSOR_RULES
from orchestration.lib.alerts.located import RoutesError
from orchestration.lib.alerts.matching import Maintenance
from orchestration.lib.alerts.model import badness_of
from orchestration.lib.alerts.outbox import Entry, Letter, Outcome, after_failure, due
from orchestration.lib.alerts.routes import dry_run_reason, load_routes, parse
from orchestration.lib.alerts.routes_schema import DeliveryFile
from orchestration.lib.alerts.rules import MEANINGS
from tests.orchestration.alerts_support import ROOT, minutes, signal

GOOD = """version: 1
deliver_in: prod
channels:
  a: {kind: slack, url_env: A_URL}
  b: {kind: webhook, url: "https://example.com/x", secret_env: B_SECRET}
routes:
  - {match: {workspace: [acme, "big-*"], severity: page}, to: [a], continue: true}
  - {match: {owner: finance}, to: b}
  - {to: a}
fallback: b
"""


@pytest.mark.parametrize(
    ("workspace", "severity", "owner", "to"),
    [("acme", "page", "x", ("a",)), ("big-one", "page", "finance", ("a", "b")), ("acme", "ticket", "finance", ("b",)),
     ("bigger", "ticket", "", ("a",)), ("", "page", "finance", ("b",))],
)  # fmt: skip
def test_the_first_route_that_fits_decides_unless_it_says_to_go_on(
    workspace: str, severity: str, owner: str, to: tuple[str, ...]
) -> None:
    routes = parse(GOOD, "f.yaml")
    assert routes.channels_for(rule="burn_page", workspace=workspace, severity=severity, owner=owner) == to


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("version: 1", "version: 2", "f.yaml line 1, version: Input should be 1, came 2"),
        ("version: 1\n", "", "f.yaml line 1, version: is missing"),
        ("kind: slack", "kind: pigeon", "f.yaml line 4, channels.a.kind: expected one of slack, webhook, email"),
        ("url_env: A_URL", "url: x", "f.yaml line 4, channels.a.url_env: is missing"),
        ("secret_env: B_SECRET", "secret_env: hunter2", "channels.b.secret_env: expected the name of an environment"),
        (", secret_env: B_SECRET", "", "f.yaml line 5, channels.b.secret_env: is missing"),
        ("to: b}", "to: c}", "f.yaml line 8, routes[1].to[0]: no channel is called 'c'; there are a, b"),
        ("fallback: b", "fallback: c", "f.yaml line 10, fallback[0]: no channel is called 'c'"),
        ("- {to: a}", "- {to: a, match: {rule: x}}", "line 9, routes[2]: the last route must fit everything"),
        ("{owner: finance}", "{}", "f.yaml line 8, routes[1]: fits everything, so no route after it is ever asked"),
        ("match: {owner:", "mach: {owner:", "f.yaml line 8, routes[1].mach: is no key of this place"),
        ("{owner: finance}", "{team: finance}", "f.yaml line 8, routes[1].match.team: is no key of this place"),
        ("fallback: b", "fallback: b\nfallback: a", "f.yaml line 11: fallback is said twice"),
        ("fallback: b", "fallback: b\n  x: [", "f.yaml line 11: this is no YAML"),
        ("fallback: b", "fallback: b\ntiming: {page: {remind_after: soon}}", "page.remind_after: expected a time"),
        ("fallback: b", "fallback: b\nrules: {burn_page: {worse_at: 0.5}}", "line 11, rules.burn_page.worse_at"),
        ("fallback: b", "fallback: b\nmaintenance: [{name: x, from: 2026-12-02T10:00, to: 2026-12-02T09:00}]",
         "maintenance[0].to: expected a moment after `from`"),
        ("fallback: b", "fallback: b\nmaintenance: [{name: x, days: [mon], timezone: Mars/Base}]",
         "maintenance[0].timezone: expected a time zone"),
        ("fallback: b", "fallback: b\nmaintenance: [{name: x, days: [mon]}]", "maintenance[0]: expected either"),
        ("deliver_in: prod", "deliver_in: moon", "line 2, deliver_in[0]"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_sentence_with_line_and_key(was: str, becomes: str, says: str) -> None:
    assert was in GOOD
    with pytest.raises(RoutesError) as raised:
        parse(GOOD.replace(was, becomes, 1), "f.yaml")
    assert says in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(RoutesError, match="a readable file of alert routes expected"):
        load_routes(tmp_path / "none.yaml")
    with pytest.raises(RoutesError, match="expected keys such as channels"):
        parse("- a", "f.yaml")


def test_the_file_that_comes_with_the_package_reaches_somebody_and_sends_nothing_from_a_laptop() -> None:
    routes = load_routes()
    for severity in ("page", "ticket", "notice"):
        assert routes.channels_for(rule="x", workspace="y", severity=severity, owner="z")
    rules = {path.stem.removeprefix("alert_") for path in (ROOT / "models/alerts").glob("alert_*.sql")} - {
        "evaluations"
    }
    assert rules | SENSOR_RULES == set(routes.rules), "each rule has an owner, and no other is named"
    assert rules | SENSOR_RULES == set(MEANINGS), "each rule is told in words"
    assert routes.rule("pipeline_behind").is_by_clock
    assert routes.rule("dead_letter_share").is_by_clock
    assert not routes.rule("burn_page").is_by_clock
    assert "dry run: METERHOUSE_ENVIRONMENT is dev" in dry_run_reason(routes, "dev")
    assert "dry run: METERHOUSE_ENVIRONMENT is not set" in dry_run_reason(routes, None)
    assert dry_run_reason(routes, "prod") == ""


def test_a_rule_has_its_own_timing_over_that_of_its_severity() -> None:
    rules = "rules: {burn_page: {hold: 10m, worse_at: never}, other: {remind_after: never}}"
    routes = parse(f"{GOOD}timing: {{page: {{remind_after: 2h}}}}\n{rules}", "f.yaml")
    own = routes.rule("burn_page").timing("page")
    assert (own.hold, own.worse_at, own.remind_after) == (timedelta(minutes=10), None, timedelta(hours=2))
    assert routes.rule("other").timing("page").remind_after is None
    assert routes.rule("any").timing("nonsense") == routes.rule("any").timing("page")


def window(text: str) -> Maintenance:
    return parse(f"{GOOD}maintenance: [{text}]", "f.yaml").maintenance[0]


def test_a_window_over_midnight_and_over_the_night_the_clocks_change() -> None:
    nightly = window("{name: x, days: sat, at: '23:00', for: 4h, timezone: Europe/Berlin}")
    # 2026-10-24 is a Saturday; at 03:00 clocks go back: 23:00+02:00 is 21:00 UTC, four hours later is 01:00 UTC.
    moments = {21: True, 20: False, 24: True, 25: False}
    start = datetime(2026, 10, 24, tzinfo=UTC)
    assert {hour: nightly.holds(start + timedelta(hours=hour)) for hour in moments} == moments
    once = window("{name: x, from: 2026-12-01T22:00, to: 2026-12-02T02:00, timezone: Europe/Berlin}")
    assert once.holds(datetime(2026, 12, 1, 21, tzinfo=UTC))
    assert not once.holds(datetime(2026, 12, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "threshold", "badness"),
    [(20, 10, 20), (0.8, 0.95, 0.2), (0, 5, 1e9), (2, 8, 4), (3, 0, 3), (float("nan"), 1, 1e9), (2e9, 14, 1e9)],
)
def test_badness_grows_whichever_side_of_the_threshold_is_bad(value: float, threshold: float, badness: float) -> None:
    assert badness_of(value, threshold) == pytest.approx(badness)


LETTER = Letter("m1", "t", minutes(0), ("a",), "{}")
LEASE = {"a": timedelta(seconds=50)}


def with_entries(*entries: Entry) -> Letter:
    return Letter("m1", "t", minutes(0), ("a",), "{}", entries)


def claimed(attempt: int, at_minute: float) -> Entry:
    return Entry("m1", "a", attempt, Outcome.CLAIMED, minutes(at_minute))


def test_what_was_claimed_is_left_alone_for_its_lease_and_then_tried_as_perhaps_the_second() -> None:
    begun = with_entries(claimed(1, 0))
    assert due([begun], minutes(0.8), LEASE) == []
    (again,) = due([begun], minutes(0.9), LEASE)
    assert (again.number, again.may_be_second, again.first_at) == (2, True, minutes(0))
    refused = with_entries(claimed(1, 0), Entry("m1", "a", 1, Outcome.FAILED, minutes(0), retry_at=minutes(1)))
    assert due([refused], minutes(0.9), LEASE) == []
    assert not due([refused], minutes(1), LEASE)[0].may_be_second
    unknown = with_entries(claimed(1, 0), Entry("m1", "a", 1, Outcome.UNKNOWN, minutes(0), retry_at=minutes(1)))
    assert due([unknown], minutes(1), LEASE)[0].may_be_second


def test_waits_double_to_their_limit_and_longer_only_where_the_receiver_asks() -> None:
    policy = DeliveryFile(first_retry="10s", longest_retry="1m")  # type: ignore[arg-type]  # as in the file
    waits = []
    for number in range(1, 6):
        attempt = due([with_entries(*(claimed(one, -9) for one in range(1, number)))], minutes(0), LEASE)[0]
        entry = after_failure(
            attempt, minutes(0), policy, ["b"], is_final=False, is_unknown=False,
            retry_after_s=90 if number == 5 else None, detail="", owner="",
        )  # fmt: skip
        assert entry.retry_at is not None
        waits.append((entry.retry_at - minutes(0)).total_seconds())
    assert waits == [10, 20, 40, 60, 90]


def test_a_fallback_that_fails_passes_nothing_back() -> None:
    passed = Entry("m1", "a", 1, Outcome.FAILED, minutes(0), retry_at=minutes(60), passed_to=("b",))
    (copy,) = due([with_entries(claimed(1, 0), passed)], minutes(1), LEASE)
    assert copy.channel == "b"
    entry = after_failure(
        copy, minutes(1), DeliveryFile(), ["b", "a"], is_final=True, is_unknown=False, retry_after_s=None, detail="",
        owner="",
    )  # fmt: skip
    assert entry.passed_to == ()


def test_wildcards_are_the_only_thing_special_in_a_pattern() -> None:
    routes = parse(
        f"{GOOD}maintenance: [{{name: x, match: {{subject: 'a.[b]*'}}, days: fri, at: '00:00', for: 1d}}]", "f"
    )
    matcher = routes.maintenance[0].matcher
    assert matcher.fits_signal(signal(subject="a.[b]c"))
    assert not matcher.fits_signal(signal(subject="a.bc"))
