"""Topics and their ids, on both brokers: the loader's progress hangs on an id that is new with every creation."""

from ingest.kafka import KafkaAdmin, TopicSpec, Watermarks
from tests.conftest import Broker
from tests.support.topics import Sent, produce, until


def test_topic_ids_differ_between_topics_and_stay_while_the_topic_lives(any_broker: Broker, prefix: str) -> None:
    one, two = f"{prefix}one", f"{prefix}two"
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        assert admin.ensure_topics([TopicSpec(one, 3), TopicSpec(two, 1)]) == [one, two]
        first = admin.describe([one, two])
        produce(any_broker.bootstrap, one, [Sent(b"x")])
        assert admin.describe([one, two]) == first
    assert first[one].topic_id != first[two].topic_id
    assert first[one].has_broker_id
    assert first[one].partitions == (0, 1, 2)


def test_a_recreated_topic_has_another_id_and_starts_at_zero(any_broker: Broker, prefix: str) -> None:
    name = f"{prefix}again"
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        admin.ensure_topics([TopicSpec(name, 1)])
        before = admin.describe([name])[name].topic_id
        produce(any_broker.bootstrap, name, [Sent(b"x")] * 10)
        admin.delete_topics([name])
        until(lambda: name not in admin.describe([name]), f"{name} to be gone")
        admin.ensure_topics([TopicSpec(name, 1)])
        assert admin.describe([name])[name].topic_id != before
        assert admin.watermarks([name]) == {(name, 0): Watermarks(0, 0)}


def test_ensuring_twice_creates_once_and_leaves_partitions_alone(any_broker: Broker, prefix: str) -> None:
    name = f"{prefix}once"
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        assert admin.ensure_topics([TopicSpec(name, 2)]) == [name]
        assert admin.ensure_topics([TopicSpec(name, 5)]) == []
        assert admin.describe([name])[name].partitions == (0, 1)


def test_asking_about_a_topic_does_not_create_it(any_broker: Broker, prefix: str) -> None:
    name = f"{prefix}never"
    with KafkaAdmin(any_broker.bootstrap, {}) as admin:
        assert admin.describe([name]) == {}
        assert admin.watermarks([name]) == {}
        admin.delete_topics([name])
        assert name not in admin.cluster().topics
