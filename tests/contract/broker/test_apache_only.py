"""What only a real Kafka can show: security settings that reach it, and data that outlives a kill."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.kafka import KafkaAdmin, KafkaProblem, KafkaUnavailableError, TopicSpec, Watermarks
from tests.support.apache_kafka import ApacheKafka
from tests.support.topics import Sent, produce, read, until


@pytest.fixture
def own_kafka(apache_kafka: ApacheKafka, tmp_path: Path) -> Iterator[ApacheKafka]:
    """A node of the test's own, to be killed; needs the session's only for its skip."""
    assert apache_kafka.pid
    kafka = ApacheKafka(tmp_path / "kafka")
    kafka.start()
    yield kafka
    kafka.stop()


def test_tls_and_sasl_options_reach_the_broker(apache_kafka: ApacheKafka, prefix: str) -> None:
    with KafkaAdmin(apache_kafka.secure_bootstrap, apache_kafka.secure_options) as admin:
        assert admin.ensure_topics([TopicSpec(f"{prefix}secure", 2)]) == [f"{prefix}secure"]
        assert admin.watermarks([f"{prefix}secure"]) == {(f"{prefix}secure", n): Watermarks(0, 0) for n in range(2)}


@pytest.mark.parametrize(
    ("changes", "problem", "advice"),
    [
        ({"sasl.password": "wrong"}, KafkaProblem.CREDENTIALS, "sasl.password in METERHOUSE_KAFKA_OPTIONS"),
        ({"sasl.mechanism": "SCRAM-SHA-512"}, KafkaProblem.CREDENTIALS, "sasl.mechanism"),
        ({"ssl.ca.location": "probe"}, KafkaProblem.TLS, "ssl.ca.location in METERHOUSE_KAFKA_OPTIONS"),
    ],
)
def test_a_refused_user_or_certificate_is_one_sentence_without_the_secret(
    apache_kafka: ApacheKafka, changes: dict[str, str], problem: KafkaProblem, advice: str
) -> None:
    options = {**apache_kafka.secure_options, **changes}
    with (
        KafkaAdmin(apache_kafka.secure_bootstrap, options, timeout_s=3) as admin,
        pytest.raises(KafkaUnavailableError) as caught,
    ):
        admin.cluster()
    assert caught.value.problem is problem
    assert advice in str(caught.value)
    assert options["sasl.password"] not in str(caught.value)


def test_more_copies_than_brokers_names_the_setting(apache_kafka: ApacheKafka, prefix: str) -> None:
    with (
        KafkaAdmin(apache_kafka.bootstrap, {}) as admin,
        pytest.raises(Exception, match="METERHOUSE_KAFKA_REPLICATION"),
    ):
        admin.ensure_topics([TopicSpec(f"{prefix}copies", 1, replication=3)])


def test_killed_and_started_on_the_same_data_it_has_every_acknowledged_message_and_the_same_topic_id(
    own_kafka: ApacheKafka,
) -> None:
    with KafkaAdmin(own_kafka.bootstrap, {}) as admin:
        admin.ensure_topics([TopicSpec("events", 3)])
        topic_id = admin.describe(["events"])["events"].topic_id
    produce(own_kafka.bootstrap, "events", [Sent(b"%d" % number, number % 3) for number in range(300)])
    own_kafka.kill()
    own_kafka.start()
    with KafkaAdmin(own_kafka.bootstrap, {}) as admin:
        assert admin.describe(["events"])["events"].topic_id == topic_id
        until(lambda: len(admin.watermarks(["events"])) == 3, "leaders")
        assert admin.watermarks(["events"]) == {("events", partition): Watermarks(0, 100) for partition in range(3)}
    assert [message.value() for message in read(own_kafka.bootstrap, "events", 1, 100)] == [
        b"%d" % number for number in range(1, 300, 3)
    ]
