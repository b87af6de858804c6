"""Groups with the range assignor, on both brokers: every partition has one owner, also after one died."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from ingest.kafka import KafkaAdmin, KafkaUnavailableError, TopicSpec, consumer_config, open_consumer
from tests.conftest import Broker
from tests.support.servers import launch
from tests.support.topics import Member, Sent, produce, until

Join = Callable[[], Member]


@pytest.fixture
def topics(any_broker: Broker, prefix: str) -> list[str]:
    names = [f"{prefix}one", f"{prefix}two"]
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        admin.ensure_topics([TopicSpec(name, 3) for name in names])
    return names


@pytest.fixture
def join(any_broker: Broker, prefix: str, topics: list[str]) -> Iterator[Join]:
    members: list[Member] = []

    def one() -> Member:
        embedded = any_broker.is_embedded
        members.append(Member(any_broker.bootstrap, f"{prefix}group", topics, embedded=embedded, assignor="range"))
        return members[-1]

    yield one
    for member in members:
        member.close()


def _everything(topics: list[str]) -> set[tuple[str, int]]:
    return {(topic, partition) for topic in topics for partition in range(3)}


def _shared(members: list[Member], topics: list[str]) -> Callable[[], bool]:
    """Whether the members own all partitions, each one some, none twice."""

    def is_shared() -> bool:
        for member in members:
            member.poll()
        owned = [member.assigned for member in members]
        return all(owned) and set.union(*owned) == _everything(topics) and sum(map(len, owned)) == 2 * 3

    return is_shared


def test_two_members_share_all_partitions_and_the_second_takes_over_when_the_first_leaves(
    join: Join, topics: list[str]
) -> None:
    first = join()
    until(_shared([first], topics), "one member to own all", lambda: first.assigned)
    second = join()
    until(_shared([first, second], topics), "two members to share", lambda: (first.assigned, second.assigned))
    first.close()
    until(_shared([second], topics), "the second to own all", lambda: second.assigned)


def test_a_member_killed_without_goodbye_loses_its_partitions_and_a_new_one_gets_a_share(
    any_broker: Broker, prefix: str, topics: list[str], join: Join, tmp_path: Path
) -> None:
    ready = tmp_path / "assigned"
    embedded = "embedded" if any_broker.is_embedded else "apache"
    argv = [sys.executable, "-m", "tests.support.member", any_broker.bootstrap, f"{prefix}group", embedded, str(ready)]
    killed = launch([*argv, *topics], tmp_path / "member.log", ready.exists)
    survivor = join()
    until(survivor.is_assigned, "the second to get a share")
    killed.kill()
    until(_shared([survivor], topics), "the survivor to own all", lambda: survivor.assigned)
    newcomer = join()
    until(_shared([survivor, newcomer], topics), "both to share", lambda: (survivor.assigned, newcomer.assigned))


def test_committed_offsets_are_there_for_the_next_member(any_broker: Broker, join: Join, topics: list[str]) -> None:
    topic = topics[0]
    produce(any_broker.bootstrap, topic, [Sent(b"%d" % number) for number in range(20)])
    first = join()
    until(lambda: first.has_read(20), "20 messages", lambda: len(first.read))
    first.commit(topic, 0, 12)
    first.close()
    second = join()
    until(lambda: second.has_read(8), "the 8 after the commit", lambda: len(second.read))
    assert [message.value() for message in second.read] == [b"%d" % number for number in range(12, 20)]


def test_a_new_group_has_no_committed_offset(any_broker: Broker, prefix: str, topics: list[str]) -> None:
    consumer = open_consumer(consumer_config(any_broker.bootstrap, {}, group=f"{prefix}fresh"))
    [found] = consumer.committed([TopicPartition(topics[0], 0)], timeout=10)
    consumer.close()
    assert found.offset < 0


def test_a_group_that_all_have_left_can_be_made_anew_and_the_next_member_joins(
    any_broker: Broker, join: Join, topics: list[str], prefix: str
) -> None:
    first = join()
    until(_shared([first], topics), "one member to own all", lambda: first.assigned)
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        if not any_broker.is_embedded:  # which lists none
            assert admin.group_members(f"{prefix}group") == 1
            with pytest.raises(KafkaUnavailableError, match="not empty"):
                admin.delete_group(f"{prefix}group")
        first.close()
        assert admin.group_members(f"{prefix}group") == 0
        admin.delete_group(f"{prefix}group")
        admin.delete_group(f"{prefix}group")  # gone already
    second = join()
    until(_shared([second], topics), "the next to own all", lambda: second.assigned)
