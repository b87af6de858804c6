"""Intake: the chain of runs has no hole and no overlap, whatever comes in and whatever must be redone."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.loader.intake import BatchLimits, Intake
from ingest.loader.run import Batch, Claim, Messages, Run, Source

SOURCE = Source("agent_events", "id-1", 0)
LIMITS = BatchLimits(rows=10, size=1_000, age_s=1.0)


def messages(offsets: list[int], size: int = 10) -> Messages:
    return Messages(list(offsets), [b"x" * size for _ in offsets], [None for _ in offsets], [0 for _ in offsets])


def claim(first: int, last: int) -> Claim:
    return Claim(Run(SOURCE, first, last), 0, "somebody")


def bounds(batches: list[Batch]) -> list[tuple[int, int]]:
    return [(batch.run.first, batch.run.last) for batch in batches]


def test_a_full_run_is_cut_before_the_message_that_would_overfill_it() -> None:
    intake = Intake(SOURCE, 0, [], LIMITS)
    assert bounds(list(intake.add(messages(list(range(25))), 0.0))) == [(0, 9), (10, 19)]
    assert intake.position == 25
    by_size = list(Intake(SOURCE, 0, [], LIMITS).add(messages([0, 1, 2], size=600), 0.0))
    assert [(batch.run.last, batch.size) for batch in by_size] == [(0, 600), (1, 600)]


def test_a_message_larger_than_the_limit_is_a_run_of_its_own() -> None:
    intake = Intake(SOURCE, 0, [], LIMITS)
    first = list(intake.add(messages([0], size=5_000), 0.0)) + list(intake.add(messages([1]), 0.0))
    assert bounds(first) == [(0, 0)]


def test_an_open_run_waits_for_its_age_and_no_longer() -> None:
    intake = Intake(SOURCE, 5, [], LIMITS)
    assert list(intake.add(messages([5, 6]), 10.0)) == []
    assert list(intake.due(10.9)) == []
    assert bounds(list(intake.due(11.0))) == [(5, 6)]
    assert list(intake.due(99.0)) == []


def test_an_idle_worker_takes_an_open_run_that_holds_enough_but_never_part_of_a_redo() -> None:
    fresh, redo = Intake(SOURCE, 5, [], LIMITS), Intake(SOURCE, 9, [claim(5, 8)], LIMITS)
    assert list(fresh.add(messages([5, 6]), 0.0)) + list(redo.add(messages([5, 6]), 0.0)) == []
    assert list(fresh.due(0.0, enough=3)) + list(redo.due(0.0, enough=2)) == []
    assert bounds(list(fresh.due(0.0, enough=2))) == [(5, 6)]


def test_the_next_run_begins_where_the_last_ended_even_over_a_gap() -> None:
    intake = Intake(SOURCE, 0, [], LIMITS)
    list(intake.add(messages([0, 3]), 0.0))
    list(intake.add(messages([8]), 0.0))
    assert bounds(list(intake.due(9.0))) == [(0, 8)]
    assert bounds(list(intake.reach(12, 9.0)) + list(intake.due(10.0))) == [(9, 11)]


def test_claims_are_redone_with_the_bounds_they_have_whatever_the_limits() -> None:
    intake = Intake(SOURCE, 40, [claim(20, 34), claim(35, 39)], LIMITS)
    assert intake.position == 20
    batches = list(intake.add(messages(list(range(20, 42))), 0.0))
    assert bounds(batches) == [(20, 34), (35, 39)]
    assert [len(batch.messages) for batch in batches] == [15, 5]
    assert all(batch.claim is not None for batch in batches)
    assert bounds(list(intake.due(9.0))) == [(40, 41)]


def test_what_lies_between_two_open_claims_was_done_by_somebody_and_is_passed_over() -> None:
    intake = Intake(SOURCE, 30, [claim(0, 4), claim(20, 24)], LIMITS)
    batches = list(intake.add(messages(list(range(32))), 0.0)) + list(intake.due(9.0))
    assert bounds(batches) == [(0, 4), (20, 24), (30, 31)]
    assert [batch.messages.offsets for batch in batches] == [[0, 1, 2, 3, 4], [20, 21, 22, 23, 24], [30, 31]]


def test_a_redo_below_runs_that_are_done_does_not_take_their_messages_a_second_time() -> None:
    intake = Intake(SOURCE, 30, [claim(10, 19)], LIMITS)
    batches = list(intake.add(messages(list(range(10, 25))), 0.0))
    batches += intake.add(messages(list(range(25, 40))), 0.0)
    assert [batch.messages.offsets for batch in batches] == [list(range(10, 20)), list(range(30, 40))]


def test_a_redo_whose_last_offsets_are_gone_ends_when_the_stream_has_passed_them() -> None:
    intake = Intake(SOURCE, 10, [claim(0, 9)], LIMITS)
    assert list(intake.add(messages([0, 1]), 0.0)) == []
    assert list(intake.due(99.0)) == []
    assert bounds(list(intake.reach(10, 99.0))) == [(0, 9)]


def test_lost_offsets_are_counted_once_on_the_run_that_spans_them() -> None:
    intake = Intake(SOURCE, 3, [], LIMITS)
    intake.lose(7)
    list(intake.reach(10, 0.0))
    list(intake.add(messages([10]), 0.0))
    (batch,) = intake.due(5.0)
    assert (batch.run.first, batch.run.last, batch.lost) == (3, 10, 7)
    list(intake.add(messages([11]), 5.0))
    assert [one.lost for one in intake.due(9.0)] == [0]


@given(
    gaps=st.lists(st.integers(min_value=1, max_value=4), max_size=60),
    sizes=st.integers(min_value=1, max_value=400),
    chunks=st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=30),
    redo=st.lists(st.integers(min_value=1, max_value=12), max_size=3),
)
def test_every_message_is_in_exactly_one_run_and_runs_neither_overlap_nor_leave_a_hole(
    gaps: list[int], sizes: int, chunks: list[int], redo: list[int]
) -> None:
    claims, at = [], 0
    for length in redo:
        claims.append(claim(at, at + length - 1))
        at += length
    offsets, offset = [], -1
    for gap in gaps:
        offset += gap
        offsets.append(offset)
    intake = Intake(SOURCE, at, claims, LIMITS)
    batches: list[Batch] = []
    rest = messages(offsets, size=sizes)
    for length in chunks * 60:
        part, rest = rest.slice(0, length), rest.slice(length)
        batches += intake.add(part, 0.0)
    end = (offsets[-1] + 1) if offsets else 0
    batches += intake.reach(max(end, at), 0.0)
    batches += intake.due(99.0)
    landed = [offset for batch in batches for offset in batch.messages.offsets]
    assert landed == offsets
    runs = bounds(batches)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(runs))
    if runs:
        assert runs[0][0] == 0
        assert runs[-1][1] == max(end, at) - 1
    assert all(len(batch.messages) <= LIMITS.rows for batch in batches if batch.claim is None)
