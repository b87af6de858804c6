"""The loop through what a broker and ClickHouse do to it, and its stop: two topics of three partitions, no servers.

Whatever happens, the runs of each partition follow one another from 0 to the end and each message is in one of them.
"""

import threading
from typing import cast

import pytest
from confluent_kafka import KafkaError, TopicPartition

from ingest.errors import MeterhouseError, WorkAbandonedError
from ingest.loader import loop
from ingest.loader.clock import Clock, Deadline
from ingest.loader.run import Run
from tests.support.fake_house import A0, A1, ALL, B1, B2, FakeLedger, House, assert_once, leave, source_of, told
from tests.support.fake_kafka import FakeBroker


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


def test_a_run_beside_one_that_flies_fills_to_twice_as_much(
    broker: FakeBroker, ledger: FakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "EAGER_ROWS", 10)
    house = House(broker, ledger, rows=1_000, age_s=1_000.0, in_flight=2)
    house.workers.is_prompt = False
    house.consumer.give(A0, A1)
    house.turn()
    broker.send(A0, 10)
    house.turn()
    for _ in range(3):
        broker.send(A1, 10)
        house.turn()
    house.workers.is_prompt = True
    house.workers.work()
    house.turn(3)
    assert ledger.chain(source_of(A0)) == [(0, 9)]
    assert ledger.chain(source_of(A1))[0] == (0, 19)


def test_no_partition_starves_while_others_always_have_more(broker: FakeBroker, ledger: FakeLedger) -> None:
    house = House(broker, ledger, in_flight=1, rows=10)
    house.workers.is_prompt = False
    house.consumer.at_most = 10
    broker.send_everywhere(1_000)
    house.consumer.give(*ALL)
    for _ in range(62):
        house.turn(1)
        house.workers.work()
    landed = [sum(last - first + 1 for first, last in ledger.chain(source_of(key))) for key in ALL]
    assert max(landed) - min(landed) <= 10, landed


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
