"""The decoder: whole columns give what judge() gives, message by message; nothing is lost between them."""

import json
import uuid
from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.contracts import fields as f
from ingest.contracts.check import Accepted, judge
from ingest.loader.decode import AgentEventDecoder
from ingest.loader.run import Decoded
from tests.unit.contracts.events import EVENT_ID, LIMITS, NOW_MS, payload

DECODER = AgentEventDecoder(LIMITS)


def decode(*values: bytes | None) -> Decoded:
    return DECODER.decode(values, NOW_MS)


def expected_row(verdict: Accepted) -> dict[str, object]:
    """judge()'s normal form as the table's columns hold it."""
    event, row = verdict.event, {}
    for field in f.FIELDS:
        value: object = getattr(event, field.name)
        if field.kind == "uuid":
            value = uuid.UUID(str(value)).bytes
        elif field.kind == "money":
            value = None if value is None else Decimal(str(value))
        elif field.kind == "object":
            raw = bytes(event.context)
            value = "" if raw == b"null" else raw.decode()
        elif field.kind in ("text", "choice"):
            value = value or ""
        row[field.name] = value
    return row


def rows_of(decoded: Decoded) -> list[dict[str, object]]:
    times = decoded.rows.schema.get_field_index("occurred_at")
    plain = decoded.rows.set_column(times, "occurred_at", decoded.rows.column("occurred_at").cast(pa.int64()))
    rows: list[dict[str, object]] = plain.to_pylist()
    return rows


def assert_as_judged(values: Sequence[bytes | None]) -> None:
    decoded = decode(*values)
    verdicts = [None if one is None else judge(one, judged_at_ms=NOW_MS, limits=LIMITS) for one in values]
    accepted = [(at, one) for at, one in enumerate(verdicts) if isinstance(one, Accepted)]
    assert decoded.origin.to_pylist() == [at for at, _ in accepted]
    assert rows_of(decoded) == [expected_row(one) for _, one in accepted]
    refused = [(at, one) for at, one in enumerate(verdicts) if not isinstance(one, Accepted)]
    assert [(one.index, one.error_class) for one in decoded.rejected] == [
        (at, "malformed_json" if one is None else one.error_class) for at, one in refused
    ]


ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-5, max_value=2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [0.0000000000005, 1e-13, 0.1 + 0.2, 99.9999999999995, 100.5, 5e4, "0.000003", "1e-6", "-1", "1" * 70, -0.0, 5.0]
    ),
    st.sampled_from(["ok", "timeout", "a@b.example", "model@20240620", "x\u0000y", "2026-11-23T09:30:00.1234567Z"]),
    st.sampled_from(["2026-11-23T09:30:00+01:30", "2026-11-23t09:30:00z", "2026-02-30T00:00:00Z", NOW_MS, NOW_MS + 1]),
    st.sampled_from([{"a": 1}, {"prompt": "x"}, {"a": {"b": {"c": {"d": {"e": 1}}}}}, {"note": "a b"}, {}, [1]]),
    st.sampled_from([EVENT_ID.upper(), "00000000-0000-0000-0000-000000000000", "6f1c2a3e_58c8-4e09-a2df-01a533f88075"]),
)
EVENTS = st.dictionaries(st.sampled_from([*f.BY_NAME, "extra"]), ODD_VALUES, max_size=4).map(
    lambda changes: json.dumps(json.loads(payload()) | changes).encode()
)
MESSAGES = st.one_of(EVENTS, EVENTS, EVENTS, st.binary(max_size=30), st.none(), st.just(payload()))


@settings(deadline=None)  # pyarrow loads parts of itself at the first use
@given(st.lists(MESSAGES, max_size=12))
def test_whole_columns_and_the_careful_path_give_the_same_rows_and_the_same_refusals(
    values: list[bytes | None],
) -> None:
    assert_as_judged(values)


def test_each_odd_value_in_each_field_is_treated_as_judge_treats_it() -> None:
    odd: list[object] = [
        None,
        True,
        -1,
        0,
        7,
        2**63,
        1e300,
        -0.0,
        0.0000000000005,
        "1e-6",
        "a@b.example",
        "é" * 200,
        {"a": 1},
        [],
        "",
    ]
    values: list[bytes | None] = []
    for name in f.BY_NAME:
        values += [payload(**{name: value}) for value in odd]
    assert_as_judged(values)


def test_every_spelling_of_a_time_and_an_amount_among_many_is_read_as_alone() -> None:
    times: list[object] = [
        "2026-11-23T09:30:00Z",
        "2026-11-23t10:30:00.9999+01:00",
        "2026-11-23 09:30:00.123456789-00:30",
        "2026-11-23T09:30:00.2+01",
        "2026-11-23T09:30:00+0100",
        "2026-11-23T09:30:00,250Z",
        "2026-11-23T09:30:60.000Z",
        "2026-11-23T09:30:00.000+24:00",
        "2026-02-30T09:30:00.250Z",
        "2300-01-01T00:00:00.000Z",
        NOW_MS,
        -(2**53) - 1,
        2**63,
        str(NOW_MS),
    ]
    money: list[object] = [
        "12", "0.25", "100000", "100000.000000000001", "999999.5", "0.0000000000005", "1e2", "+1", ".5", "1.",
        0, 7, 99.5, 100.25, 2**53 + 1, 2**70, 5e-13, None,
    ]  # fmt: skip
    odd = [payload(occurred_at=one) for one in times] + [payload(cost_usd=one) for one in money]
    assert_as_judged([payload()] * 1100 + odd + [payload()] * 1100)


def test_a_correction_in_the_same_batch_stays_behind_the_copy_it_corrects() -> None:
    plain, suspicious = payload(model="first"), payload(model="second", context={"note": "a\\b"})
    decoded = decode(suspicious, plain, suspicious)
    assert decoded.origin.to_pylist() == [0, 1, 2]
    assert decoded.rows.column("model").to_pylist() == ["second", "first", "second"]


def test_a_context_that_only_looks_suspicious_lands_as_judge_leaves_it_first_and_ever_after() -> None:
    odd: list[object] = [{"note": "a\\b"}, {"note": "50%40"}, {"deep": [[[1]]]}, {"note": "a  b"}, None, {}]
    for _ in range(2):
        assert_as_judged([payload(context=one) for one in odd] * 2)


def test_denied_and_unknown_fields_are_counted_by_name_and_do_not_land() -> None:
    decoded = decode(payload(prompt="never", context={"email": "never"}, x_new=1))
    assert decoded.dropped_fields == {"denied.prompt": 1, "denied.e_mail": 1, "unknown.x_new": 1}
    assert "never" not in str(rows_of(decoded))


def test_two_objects_in_one_message_do_not_stand_in_for_an_empty_one() -> None:
    decoded = decode(payload() + b"\n" + payload(), b"", payload())
    assert [one.index for one in decoded.rejected] == [0, 1]
    assert decoded.origin.to_pylist() == [2]


def test_nothing_in_is_nothing_out() -> None:
    decoded = decode()
    assert decoded.rows.num_rows == 0
    assert decoded.min_occurred_ms is None
