"""Another program listens where one of ours was expected: no traceback, wherever it is asked."""

import msgspec
import pytest

from ingest.embedded.stack import asked
from ingest.errors import MeterhouseError
from orchestration.lib.graphql import ask
from tests.support.stranger import stranger

STRANGERS = {
    "another-protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half-an-answer": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab",
    "nothing": b"",
    "a-page": b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>",
}
pytestmark = pytest.mark.parametrize("said", STRANGERS.values(), ids=STRANGERS)


class Nothing(msgspec.Struct):
    """What no stranger answers."""

    version: str


def test_one_who_does_not_speak_http_is_nobody(said: bytes) -> None:
    with stranger(said) as address:
        assert asked(f"http://{address}/healthz") == (200 if said.startswith(b"HTTP") else 0)


def test_a_question_to_dagster_that_a_stranger_answers_is_one_sentence(said: bytes) -> None:
    with stranger(said) as address, pytest.raises(MeterhouseError, match=f"Dagster at http://{address} did not answer"):
        ask(f"http://{address}", "{ version }", Nothing, timeout_s=5)
