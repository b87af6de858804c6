"""The loop through everything a group, a broker and other loaders do to it: two topics of three partitions, no servers.

Whatever happens, the runs of each partition follow one another from 0 to the end and each message is in one of them.
"""

import threading
from typing import cast

import pytest
from confluent_kafka import KafkaError, TopicPartition

from ingest.errors import MeterhouseError, WorkAbandonedError
from ingest.loader import loop
from ingest.loader.clock import Clock, Deadline
from ingest.loader.partition import Key
from ingest.loader.run import Run
from tests.support.fake_house import FakeLedger, House, source_of
from tests.support.fake_kafka import FakeBroker

A0, A1, A2 = (("events", number) for number in range(3))
B0, B1, B2 = (("events_eu", number) for number in range(3))
ALL = (A0, A1, A2, B0, B1, B2)


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


def assert_once(broker: FakeBroker, ledger: FakeLedger) -> None:
    """Every message in one run that is done, the runs a chain without hole or overlap."""
    for key, log in broker.logs.items():
        at = 0
        for first, last in ledger.chain(source_of(key)):
            assert first == at, f"{key}: expected a run from {at}, came {ledger.chain(source_of(key))}"
            at = last + 1
        assert at == len(log), f"{key}: landed to {at} of {len(log)}"
        assert sorted(ledger.messages.get(source_of(key), [])) == list(range(broker.low.get(key, 0), len(log)))


def told(house: House) -> dict[Key, int]:
    """What the group was told last, by partition."""
    return {key: offset for commit in house.consumer.committed for key, offset in commit.items()}


def leave(house: House) -> None:
    """As the service does between the loop and the close."""
    house.loop.rebalance.leave(Deadline(cast("Clock", house.clock), 1.0))


@pytest.mark.parametrize("is_cooperative", [False, True])
def test_every_message_lands_once_and_the_group_is_told_how_far(
    broker: FakeBroker, ledger: FakeLedger, is_cooperative: bool
) -> None:
    house = House(broker, ledger, is_cooperative=is_cooperative)
    broker.send_everywhere(35)
    house.consumer.give(*ALL)
    house.turn()
    assert_once(broker, ledger)
    assert told(house) == dict.fromkeys(ALL, 35)
    assert house.loop.tally.messages == 6 * 35
    times = len(house.consumer.committed)
    house.turn()
    assert len(house.consumer.committed) == times, "nothing new: nothing to tell"


@pytest.mark.parametrize("is_cooperative", [False, True])
def test_a_partition_that_comes_later_leaves_the_others_where_they_are(
    broker: FakeBroker, ledger: FakeLedger, is_cooperative: bool
) -> None:
    house = House(broker, ledger, is_cooperative=is_cooperative)
    broker.send_everywhere(20)
    house.consumer.give(A0, B1)
    house.turn()
    broker.send_everywhere(15)
    house.consumer.give(*((A1, A2, B0, B2) if is_cooperative else ALL))
    house.turn()
    assert_once(broker, ledger)
    assert house.loop.tally.messages == 6 * 35


def test_a_fenced_run_lets_no_further_claim_of_its_source_out_and_the_winners_bounds_hold(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    house = House(broker, ledger)
    house.workers.is_prompt = False
    broker.send(A0, 30)
    house.consumer.give(A0)
    house.turn(2)  # our run 0-9 waits for a worker, 10-19 and 20-29 for its bounds
    assert len(house.workers.waiting) == 1
    ledger.seen_by("another").claim(Run(source_of(A0), 0, 4), 1)
    house.workers.work()  # fenced
    house.loop._flights.hand_out(house.loop.rebalance.partitions)  # before anybody has collected the outcome
    assert house.workers.waiting == [], "the next claim would begin in the middle of the winner's run"
    house.workers.is_prompt = True
    house.turn(6)
    assert_once(broker, ledger)
    assert ledger.chain(source_of(A0)) == [(0, 4), (5, 14), (15, 24), (25, 29)]
    assert set(ledger.claims[source_of(A0)]) == {0, 5, 15, 25}


def test_what_is_revoked_is_finished_where_claimed_dropped_where_not_and_told_to_the_group(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    one, two = House(broker, ledger, "one", in_flight=1), House(broker, ledger, "two")
    one.workers.is_prompt = False
    broker.send(A0, 30)
    one.consumer.give(A0)
    one.turn(3)
    # The worker gets to it while the revocation waits.
    one.clock.on_wait = one.workers.work
    one.consumer.take(A0)
    one.turn(1)
    assert one.consumer.committed[-1] == {A0: 10}
    two.consumer.give(A0)
    two.turn()
    assert_once(broker, ledger)
    assert (one.loop.tally.messages, two.loop.tally.messages) == (10, 20)


def test_a_revocation_waits_for_nobody_longer_than_its_bound_and_the_next_owner_redoes_the_run(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    one, two = House(broker, ledger, "one"), House(broker, ledger, "two")
    one.workers.is_prompt = False
    broker.send(A0, 10)
    one.consumer.give(A0)
    one.turn(2)
    before_s = one.clock.monotonic()
    one.consumer.take(A0)
    one.turn(1)
    assert one.clock.monotonic() - before_s < 7
    two.consumer.give(A0)
    two.turn()
    one.workers.work()  # the zombie wakes: its claim is fenced
    one.turn()
    assert_once(broker, ledger)
    assert (one.loop.tally.messages, two.loop.tally.messages) == (0, 10)


def test_what_is_lost_is_never_committed(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger)
    broker.send_everywhere(10)
    house.consumer.give(*ALL)
    house.consumer.commit_error = KafkaError(KafkaError._NO_OFFSET)
    house.turn()
    house.consumer.commit_error = None
    house.consumer.lose(*ALL)
    house.consumer.give()
    house.turn()
    assert house.consumer.committed == []
    assert house.loop.rebalance.is_settled


def test_an_answer_about_a_partition_that_was_away_meanwhile_is_not_believed(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    one, two = House(broker, ledger, "one"), House(broker, ledger, "two")
    broker.send(A0, 20)
    one.asking.is_prompt = False
    one.consumer.give(A0)
    one.turn()
    one.asking.work()  # the ledger says: from 0
    one.consumer.take(A0)
    two.consumer.give(A0)
    two.turn()
    one.consumer.give(A0)
    one.consumer.consume()
    one.workers.is_prompt = False
    one.turn(1)
    assert A0 not in one.loop.rebalance.partitions
    one.asking.is_prompt = True
    one.asking.work()
    one.turn()
    assert one.loop.rebalance.partitions[A0].next_offset == 20
    assert_once(broker, ledger)


def test_polling_goes_on_while_the_ledger_does_not_answer_and_nobody_is_ready(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    house = House(broker, ledger)
    rebalance = house.loop.rebalance
    assert (rebalance.is_member, rebalance.is_settled) == (False, False)
    house.asking.is_prompt = False
    house.consumer.give(*ALL)
    polls = house.consumer.polls
    house.turn(5)
    assert house.consumer.polls == polls + 5
    assert (rebalance.is_member, rebalance.is_settled) == (True, False)
    house.asking.work()
    house.turn(1)
    assert (rebalance.is_member, rebalance.is_settled) == (True, True)


def test_a_group_that_says_nothing_for_long_is_looked_after_and_one_that_gives_nothing_is_not(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    house = House(broker, ledger)
    house.turn(50)
    assert [round(at_s) for at_s in house.mended] == [15, 30, 45]
    house.consumer.give()  # more members than partitions
    house.turn(50)
    assert len(house.mended) == 3


def test_offsets_that_go_back_are_taken_up_again_from_the_ledger(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger)
    broker.send(A0, 25)
    house.consumer.give(A0, A1)
    house.turn()
    house.consumer.go_back(A0, 3)
    broker.send(A0, 10)
    house.turn(5)
    assert_once(broker, ledger)


def test_offsets_that_retention_took_are_counted_as_lost_and_the_rest_lands(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    house = House(broker, ledger)
    broker.send(A0, 10)
    house.consumer.give(*ALL)
    house.turn()
    broker.send(A0, 30)
    broker.low[A0] = 25
    house.consumer.go_back(A0, 10)
    house.turn(6)
    assert ledger.lost == 15
    assert ledger.chain(source_of(A0))[-1][1] == 39
    assert set(ledger.messages[source_of(A0)]) == {*range(10), *range(25, 40)}


def test_a_seek_the_client_refuses_ends_in_a_new_assignment(broker: FakeBroker, ledger: FakeLedger) -> None:
    for is_cooperative in (False, True):
        house = House(broker, ledger, f"cooperative {is_cooperative}", is_cooperative=is_cooperative)
        broker.send_everywhere(20)
        house.consumer.give(*ALL)
        house.turn()
        house.consumer.seek_fails = True
        house.loop.rebalance.again(A0)
        house.turn()
        broker.send_everywhere(5)
        house.turn()
        assert_once(broker, ledger)


def test_a_full_buffer_pauses_reading_while_polling_goes_on_and_resumes_every_partition(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    house = House(broker, ledger, buffer_bytes=10_000)
    house.workers.is_prompt = False
    for key in ALL:
        broker.send(key, 40, size=100)
    house.consumer.give(*ALL)
    for _ in range(3):
        house.loop.turn()
    assert house.consumer.paused == set()  # a run lands within a second, and a pause throws away what was read ahead
    polls = house.consumer.polls
    house.loop.turn()
    assert house.consumer.polls == polls
    house.turn(2)
    assert house.consumer.paused == set(ALL)
    polls = house.consumer.polls
    house.asking.is_prompt = False
    house.loop.rebalance.again(B2)  # paused, and not there when the others are resumed: it must not stay so
    house.turn(3)
    assert house.consumer.polls == polls + 3
    house.workers.is_prompt = True
    house.workers.work()
    house.turn()
    assert house.consumer.paused == {B2}
    house.asking.is_prompt = True
    house.asking.work()
    house.turn()
    assert house.consumer.paused == set()
    assert_once(broker, ledger)


def test_claims_to_redo_that_are_larger_than_the_buffer_are_read_to_their_end(
    broker: FakeBroker, ledger: FakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "READ_MESSAGES", 7)
    for key in ALL:
        broker.send(key, 40, size=100)
        ledger.seen_by("who died").claim(Run(source_of(key), 0, 39), 1)
    house = House(broker, ledger, rows=100, buffer_bytes=3_000)
    house.consumer.give(*ALL)
    house.turn(60)
    assert_once(broker, ledger)


def test_a_run_fills_on_while_no_worker_is_free(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger, rows=1_000, in_flight=1)
    house.workers.is_prompt = False
    house.consumer.give(A0)
    for _ in range(5):
        broker.send(A0, 10)
        house.turn()
    house.workers.is_prompt = True
    house.workers.work()
    house.turn(3)
    assert ledger.chain(source_of(A0)) == [(0, 9), (10, 49)]


def test_a_commit_that_fails_is_only_a_courtesy_and_is_made_again(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger)
    broker.send_everywhere(10)
    house.consumer.commit_error = KafkaError(KafkaError.REBALANCE_IN_PROGRESS)
    house.consumer.give(*ALL)
    house.turn()
    assert_once(broker, ledger)
    house.consumer.commit_error = None
    house.turn()
    assert house.consumer.committed == [dict.fromkeys(ALL, 10)]
    house.commits.heard(KafkaError(KafkaError.ILLEGAL_GENERATION), [TopicPartition(*A0, 10)])
    house.turn()
    assert house.consumer.committed[1:] == [{A0: 10}]


def test_a_run_that_fails_stops_the_loop_and_the_next_start_redoes_it(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger)
    broker.send_everywhere(10)

    def refuse(run: Run) -> None:
        if run.source == source_of(B1):
            raise MeterhouseError("no")

    ledger.fault = refuse
    house.consumer.give(*ALL)
    with pytest.raises(MeterhouseError, match="no"):
        house.turn()
    ledger.fault = lambda _: None
    leave(house)
    after = House(broker, ledger, "after")
    after.consumer.give(*ALL)
    after.turn()
    assert_once(broker, ledger)


def test_an_error_of_rights_stops_with_a_sentence_and_others_do_not(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger)
    house.consumer.give(*ALL)
    house.consumer.fail(A0, KafkaError._ALL_BROKERS_DOWN)
    house.turn()
    house.consumer.fail(A0, KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(MeterhouseError, match="METERHOUSE_KAFKA_OPTIONS"):
        house.turn()


def test_a_stop_lands_what_was_read_even_below_a_full_batch_and_leaves_the_group_before_it_closes(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    house = House(broker, ledger, rows=1_000, age_s=60)
    broker.send_everywhere(10)
    house.consumer.give(*ALL)
    house.turn(1)
    house.turn(1)
    house.drain()
    assert_once(broker, ledger)
    leave(house)
    house.consumer.close()
    assert told(house) == dict.fromkeys(ALL, 10)


def test_a_stop_that_cannot_finish_ends_before_its_deadline_and_names_what_is_left(
    broker: FakeBroker, ledger: FakeLedger
) -> None:
    house = House(broker, ledger, drain_deadline_s=10)
    house.workers.is_prompt = False
    broker.send(A1, 20)
    house.consumer.give(*ALL)
    house.turn(2)
    house.consumer.on_poll = lambda: house.clock.advance(0.01)
    before_s = house.clock.monotonic()
    with pytest.raises(WorkAbandonedError, match=r"2 runs left, the first events\[1\] offsets 0-9"):
        house.drain()
    took_s = house.clock.monotonic() - before_s
    assert 7 < took_s < 9, "time to leave and close must be left"
    leave(house)
    house.consumer.close()
    assert house.clock.monotonic() - before_s < 10


def test_a_rebalance_during_a_stop_is_served(broker: FakeBroker, ledger: FakeLedger) -> None:
    house, other = House(broker, ledger), House(broker, ledger, "other")
    house.workers.is_prompt = False
    broker.send_everywhere(10)
    house.consumer.give(*ALL)
    house.turn(2)
    house.consumer.take(*ALL)
    house.consumer.on_poll = house.workers.work
    house.clock.on_wait = house.workers.work
    house.drain()
    leave(house)
    house.consumer.close()
    other.consumer.give(*ALL)
    other.turn()
    assert_once(broker, ledger)


def test_a_stop_waits_for_runs_whose_partition_was_taken_up_anew(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger)
    house.workers.is_prompt = False
    broker.send(A0, 10)
    house.consumer.give(A0)
    house.turn(2)
    house.loop.rebalance.again(A0)
    house.consumer.on_poll = house.workers.work
    house.drain()
    assert house.loop.tally.messages == 10


def test_a_partition_that_comes_back_is_told_about_again(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger)
    broker.send(A0, 10)
    house.consumer.give(A0)
    house.turn()
    house.consumer.give(A0)
    house.turn()
    assert house.consumer.committed == [{A0: 10}, {A0: 10}]


def test_leaving_waits_for_no_run(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger)
    house.workers.is_prompt = False
    broker.send_everywhere(10)
    house.consumer.give(*ALL)
    house.turn(2)
    before_s = house.clock.monotonic()
    leave(house)
    assert house.clock.monotonic() - before_s < 1
    house.consumer.close()


def test_a_loop_that_is_told_to_stop_turns_no_more(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger)
    stopping = threading.Event()
    turns: list[int] = []

    def is_finished() -> bool:
        turns.append(1)
        if len(turns) == 3:
            stopping.set()
        return False

    house.loop.run(stopping, is_finished, lambda: Deadline(cast("Clock", house.clock), 5.0))
    assert len(turns) == 3
