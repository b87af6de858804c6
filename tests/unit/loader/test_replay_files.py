"""A file's events as messages: every line is one, or is told; nothing depends on the file's size."""

import datetime as dt
import decimal
import json
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from ingest.contracts.check import judge
from ingest.contracts.outcome import Accepted, EventLimits
from ingest.errors import MeterhouseError, SettingsError
from ingest.loader.replay import parse_when
from ingest.loader.replay_file import open_events

NOW_MS = 1_763_900_000_000


def values(path: Path, most_bytes: int = 1_000) -> list[tuple[int, bytes]]:
    return [(event.number, event.value) for event in open_events(path, most_bytes)[1]]


def test_lines_keep_their_numbers_whatever_ends_them(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_bytes(b'{"a":1}\r\n\n  \n{"b":2}\n{"c":3}')
    assert values(path) == [(1, b'{"a":1}'), (4, b'{"b":2}'), (5, b'{"c":3}')]


def test_a_line_without_end_is_cut_where_it_is_too_long_and_the_next_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"x" * 3_000_000 + b"\n" + b"y" * 1_000 + b"\n" + b"z" * 1_001 + b"\nend\n")
    assert values(path) == [(1, b"x" * 1_001), (2, b"y" * 1_000), (3, b"z" * 1_001), (4, b"end")]


def test_zstd_frames_are_read_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson.zst"
    lines = [json.dumps({"n": n}).encode() for n in range(20_000)]
    half = b"\n".join(lines[:10_000]) + b"\n", b"\n".join(lines[10_000:])
    path.write_bytes(b"".join(zstandard.ZstdCompressor().compress(part) for part in half))
    assert [value for _, value in values(path)] == lines


def test_a_zstd_file_that_is_cut_off_is_an_error_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson.zst"
    text = b"\n".join(uuid.uuid4().hex.encode() for _ in range(50_000))
    path.write_bytes(zstandard.ZstdCompressor().compress(text)[:-2_000])
    with pytest.raises(MeterhouseError, match=r"broke off after line \d+ \(.*cut off"):
        values(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("e.csv", b"", "ends in one of"),
        ("gone.ndjson", None, "No such file"),
        ("e.parquet", b"not parquet", "expects a Parquet file"),
    ],
)
def test_a_file_that_cannot_be_one_of_ours_is_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        open_events(tmp_path / name, 1_000)


def test_a_parquet_export_of_the_raw_table_comes_back_as_events_the_contract_accepts(tmp_path: Path) -> None:
    event_id = uuid.uuid4()
    when = dt.datetime.fromtimestamp(NOW_MS / 1000, dt.UTC)
    table = pa.table(
        {
            "event_id": pa.array([str(event_id), str(uuid.uuid4())]),
            "event_type": pa.array(["llm_call", "llm_call"]).dictionary_encode(),
            "schema_version": pa.array([1, 1], pa.uint16()),
            "occurred_at": pa.array([when, when], pa.timestamp("ns", tz="UTC")),
            "workspace_id": ["w", "w"],
            "agent": ["", "b"],
            "input_tokens": pa.array([10.0, float("nan")]),
            "cost_usd": pa.array([decimal.Decimal("0.000000000001"), None], pa.decimal128(18, 12)),
            "context": ['{"step":1}', ""],
            "_offset": [1, 2],
        }
    )
    path = tmp_path / "e.parquet"
    pq.write_table(table, path)
    total, events = open_events(path, 1_000)
    verdicts = [judge(event.value, judged_at_ms=NOW_MS, limits=EventLimits()) for event in events]
    first, second = verdicts
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (total, first.unknown, second.unknown) == (2, {}, {})
    event = first.event
    assert (event.event_id, event.occurred_at, event.input_tokens) == (str(event_id), NOW_MS, 10)
    assert (event.cost_usd, bytes(event.context), event.agent) == ("0.000000000001", b'{"step":1}', None)
    assert (second.event.input_tokens, second.event.cost_usd) == (None, None)


def test_a_parquet_file_of_something_else_says_what_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"price": [1]}), tmp_path / "e.parquet")
    with pytest.raises(SettingsError, match="no event_id but price"):
        open_events(tmp_path / "e.parquet", 1_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", NOW_MS - 90 * 60_000),
        ("3d", NOW_MS - 3 * 86_400_000),
        ("2025-11-23", 1_763_856_000_000),
        ("2025-11-23T10:00Z", 1_763_892_000_000),
        ("2025-11-23T10:00:00+02:00", 1_763_884_800_000),
    ],
)
def test_times_are_moments_or_how_long_ago(text: str, expected: int) -> None:
    assert parse_when(text, "--since", NOW_MS) == expected


def test_a_time_that_is_none_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match="--since expects a time"):
        parse_when("yesterday", "--since", NOW_MS)
