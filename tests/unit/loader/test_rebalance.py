"""The loop through what a group and other loaders do to it: given, revoked, lost, fenced, left alone, leaving.

Two topics of three partitions, no servers. The runs of each partition follow one another from 0 to the end, and each
message is in one of them.
"""

import pytest
from confluent_kafka import KafkaError

from ingest.loader.run import Run
from tests.support.fake_house import A0, A1, A2, ALL, B0, B1, B2, FakeLedger, House, assert_once, leave, source_of
from tests.support.fake_kafka import FakeBroker


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
