"""How the loader's consumer is set: what its speed and its patience with a group hang on."""

from ingest.loader.reading import consumer_options, group_patience_s
from ingest.settings import Settings


def test_a_full_read_ahead_is_looked_at_again_at_once_and_not_after_a_second() -> None:
    assert consumer_options(Settings())["fetch.queue.backoff.ms"] == "10"
    slow = Settings(kafka_options={"fetch.queue.backoff.ms": "50"})
    assert consumer_options(slow)["fetch.queue.backoff.ms"] == "50"


def test_a_group_is_not_deleted_while_the_embedded_broker_still_holds_the_join() -> None:
    # It holds a JoinGroup for half the session: 22.5 s with librdkafka's default.
    named = consumer_options(Settings(kafka_bootstrap="127.0.0.1:1"))
    assert "session.timeout.ms" not in named
    assert group_patience_s(named) > 2 * 22.5
    assert group_patience_s(consumer_options(Settings())) == 15.0
