"""What of librdkafka's settings is the user's, what is ours, and how a wrong one is told."""

import pytest

from ingest.errors import SettingsError
from ingest.kafka import KafkaAdmin, consumer_config, open_consumer, open_producer, producer_config

SECURE = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "meterhouse",
    "sasl.password": "secret",
    "ssl.endpoint.identification.algorithm": "none",
    "fetch.min.bytes": "100",
}


def test_options_of_the_user_pass_through_untouched() -> None:
    assert SECURE.items() <= consumer_config("host:9092", SECURE, group="g").items()
    assert SECURE.items() <= producer_config("host:9092", SECURE).items()


def test_options_of_the_user_win_over_our_defaults() -> None:
    options = {"session.timeout.ms": "20000", "linger.ms": "50", "client.id": "mine"}
    assert options.items() <= consumer_config("host:9092", options, group="g", embedded=True).items()
    assert options.items() <= producer_config("host:9092", options).items()


@pytest.mark.parametrize("name", ["queue.buffering.max.ms", "linger.ms"])
def test_an_alias_of_a_setting_wins_over_our_default_too(name: str) -> None:
    assert producer_config("host:9092", {name: "77"})["linger.ms"] == "77"


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("enable.auto.commit", "true", "only after ClickHouse has the rows"),
        ("enable.auto.offset.store", "true", "only after ClickHouse has the rows"),
        ("auto.offset.reset", "latest", "must be seen, not skipped"),
        ("isolation.level", "read_uncommitted", "must not land"),
        ("group.id", "other", "METERHOUSE_CONSUMER_GROUP"),
        ("partition.assignment.strategy", "roundrobin", "METERHOUSE_PARTITION_ASSIGNOR"),
        ("bootstrap.servers", "other:9092", "METERHOUSE_KAFKA_BOOTSTRAP"),
        ("metadata.broker.list", "other:9092", "METERHOUSE_KAFKA_BOOTSTRAP"),
    ],
)
def test_a_consumers_essential_cannot_be_changed_and_the_reason_is_told(option: str, value: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        consumer_config("host:9092", {option: value}, group="g")


@pytest.mark.parametrize(
    ("option", "value"), [("acks", "1"), ("request.required.acks", "0"), ("enable.idempotence", "false")]
)
def test_a_producers_essential_cannot_be_changed(option: str, value: str) -> None:
    with pytest.raises(SettingsError, match="METERHOUSE_KAFKA_OPTIONS sets"):
        producer_config("host:9092", {option: value})


@pytest.mark.parametrize("options", [{"acks": "-1"}, {"acks": "all"}, {"enable.idempotence": "True"}])
def test_an_essential_may_be_repeated_in_any_of_its_spellings(options: dict[str, str]) -> None:
    assert producer_config("host:9092", options)["acks"] == "all"


def test_a_misspelt_option_is_named_by_every_kind_of_client() -> None:
    wrong = {"secrity.protocol": "ssl"}
    with pytest.raises(SettingsError, match=r"secrity\.protocol"):
        open_consumer(consumer_config("localhost:1", wrong, group="g"))
    with pytest.raises(SettingsError, match=r"secrity\.protocol"):
        open_producer(producer_config("localhost:1", wrong))
    with pytest.raises(SettingsError, match=r"secrity\.protocol"):
        KafkaAdmin("localhost:1", wrong)


def test_a_wrong_value_is_named_and_a_missing_certificate_too() -> None:
    with pytest.raises(SettingsError, match=r"security\.protocol"):
        KafkaAdmin("localhost:1", {"security.protocol": "telnet"})
    with pytest.raises(SettingsError, match=r"ssl\.ca\.location"):
        KafkaAdmin("localhost:1", {"security.protocol": "ssl", "ssl.ca.location": "/nowhere/ca.pem"})
