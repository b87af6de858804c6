"""The verifier has to see what it is there to see: a loss, a double, a lie of the ledger, a hidden row."""

from dataclasses import replace

import pytest

from tests.chaos.ledger import Batch, Found, Sent, compare

SENT = Sent(
    valid={("t", 0, 0): "a", ("t", 0, 1): "b", ("t", 1, 0): "c"},
    malformed={("t", 0, 2): "cut_off:7"},
    acknowledged=frozenset({"a", "b", "c", "cut_off:7"}),
)
FOUND = Found(
    rows={(("t", 0, 0), "a"): 1, (("t", 0, 1), "b"): 1, (("t", 1, 0), "c"): 1},
    dead={("t", 0, 2): 1},
    batches=[Batch("t", 0, 0, 1, 2, 2, 0, 0), Batch("t", 0, 2, 2, 1, 0, 1, 0), Batch("t", 1, 0, 0, 1, 1, 0, 0)],
    claims={("t", 0, 0): 1, ("t", 0, 2): 1, ("t", 1, 0): 1},
)


def test_a_round_in_which_everything_is_in_its_place_has_no_complaint() -> None:
    verdict = compare(SENT, FOUND)
    assert verdict.complaints == []
    assert (verdict.produced, verdict.landed, verdict.rejected, verdict.lost, verdict.doubled) == (4, 3, 1, 0, 0)


def test_a_planted_loss_is_seen() -> None:
    rows = {key: count for key, count in FOUND.rows.items() if key[1] != "b"}
    verdict = compare(SENT, replace(FOUND, rows=rows))
    assert verdict.lost == 1
    assert verdict.complaints == ["no row for t[0]@1"]


def test_a_planted_duplicate_is_seen() -> None:
    verdict = compare(SENT, replace(FOUND, rows={**FOUND.rows, (("t", 0, 1), "b"): 2}))
    assert verdict.doubled == 1
    assert verdict.complaints == ["more than one row for t[0]@1"]


def test_a_lost_and_a_doubled_dead_letter_are_seen() -> None:
    assert compare(SENT, replace(FOUND, dead={})).lost == 1
    assert compare(SENT, replace(FOUND, dead={("t", 0, 2): 3})).doubled == 2


def test_a_loss_and_a_double_that_balance_are_both_seen() -> None:
    rows = {(("t", 0, 0), "a"): 2, (("t", 1, 0), "c"): 1}
    verdict = compare(SENT, replace(FOUND, rows=rows))
    assert (verdict.lost, verdict.doubled) == (1, 1)


def test_another_event_at_a_place_is_seen() -> None:
    rows = {
        (where, "x" if where == ("t", 0, 1) else event_id): count for (where, event_id), count in FOUND.rows.items()
    }
    assert compare(SENT, replace(FOUND, rows=rows)).complaints == ["row t[0]@1 has event_id x, expected b"]


def test_a_malformed_message_that_landed_as_a_row_is_seen() -> None:
    rows = {**FOUND.rows, (("t", 0, 2), "z"): 1}
    assert any("nobody sent" in complaint for complaint in compare(SENT, replace(FOUND, rows=rows)).complaints)


def test_a_message_the_broker_acknowledged_and_lost_is_seen() -> None:
    sent = replace(SENT, acknowledged=SENT.acknowledged | {"gone"})
    assert "gone" in compare(sent, FOUND).complaints[0]


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([Batch("t", 0, 0, 1, 2, 2, 0, 0), Batch("t", 0, 1, 2, 1, 0, 1, 0), FOUND.batches[2]], "overlaps"),
        ([FOUND.batches[1], FOUND.batches[2]], "hole"),
        ([FOUND.batches[0], FOUND.batches[2]], "ends at 2"),
        ([Batch("t", 0, 0, 1, 3, 2, 0, 0), *FOUND.batches[1:]], "3 messages"),
        ([Batch("t", 0, 0, 1, 2, 2, 0, 5), *FOUND.batches[1:]], "5 lost"),
        ([*FOUND.batches, FOUND.batches[0]], "overlaps"),
    ],
)
def test_a_ledger_that_does_not_add_up_is_seen(batches: list[Batch], words: str) -> None:
    complaints = compare(SENT, replace(FOUND, batches=batches)).complaints
    assert any(words in complaint for complaint in complaints), complaints


def test_a_run_claimed_twice_and_a_merge_that_could_hide_a_row_are_seen() -> None:
    assert compare(SENT, replace(FOUND, claims={("t", 0, 0): 2})).complaints == ["more than one claim of t[0]@0"]
    assert "proves nothing" in compare(SENT, replace(FOUND, merged_parts=1)).complaints[0]
