"""Sentences for what Kafka's client says.

librdkafka tells the cause of an unreachable broker (refused, not resolved, TLS, credentials) only through its error
callback, while the call itself ends in a bare "transport failure". `Complaints` keeps what the callback said;
`explain` makes one sentence of the most telling of them.
"""

# ruff: noqa: SLF001  # the underscore is how librdkafka marks errors of the client itself

import re
import time
from collections import deque
from collections.abc import Callable
from enum import Enum

import structlog
from confluent_kafka import KafkaError, KafkaException

from ingest.errors import MeterhouseError, SettingsError

log = structlog.get_logger()


class KafkaProblem(Enum):
    """What kind of trouble it is, hence what to do."""

    UNREACHABLE = "unreachable"
    CREDENTIALS = "credentials"
    TLS = "tls"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"  # the broker understood and said no


class KafkaUnavailableError(MeterhouseError):
    """Kafka cannot be used as it is; `problem` says in which way, `seen` and `advice` are the sentence's two halves."""

    def __init__(self, seen: str, advice: str, problem: KafkaProblem) -> None:
        super().__init__(f"{seen}: {advice}.")
        self.seen = seen
        self.advice = advice
        self.problem = problem


_CREDENTIALS = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.ILLEGAL_SASL_STATE,
}
_FORBIDDEN = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
_UNREACHABLE = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._WAIT_COORD,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
}
_ORDER = (KafkaProblem.CREDENTIALS, KafkaProblem.TLS, KafkaProblem.FORBIDDEN, KafkaProblem.REFUSED)


def problem_of(error: KafkaError) -> KafkaProblem:
    """Sorts one client error."""
    code = error.code()
    text = error.str().lower()
    if code in _CREDENTIALS or "authentication fail" in text:
        return KafkaProblem.CREDENTIALS
    if code == KafkaError._SSL or "ssl handshake failed" in text:
        return KafkaProblem.TLS
    if code in _FORBIDDEN:
        return KafkaProblem.FORBIDDEN
    return KafkaProblem.UNREACHABLE if code in _UNREACHABLE else KafkaProblem.REFUSED


class Complaints:
    """The last errors a client reported through its callback; bounded."""

    def __init__(self) -> None:
        self._errors: deque[KafkaError] = deque(maxlen=20)

    def __call__(self, error: KafkaError) -> None:
        self._errors.append(error)

    def most_telling(self, raised: KafkaError) -> KafkaError:
        """The complaint that names a cause, else the newest about the network, else what was raised."""
        if problem_of(raised) is not KafkaProblem.UNREACHABLE:
            return raised
        for problem in _ORDER[:2]:
            for complaint in reversed(self._errors):
                if problem_of(complaint) is problem:
                    return complaint
        for complaint in reversed(self._errors):
            if complaint.code() in (KafkaError._TRANSPORT, KafkaError._RESOLVE):
                return complaint
        return raised


class ErrorLog:
    """An error callback that logs each kind of error at most once in `every_s`, with how often it came meanwhile.

    A client without a broker complains some twenty times a second (measured).
    """

    def __init__(self, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._quiet_until: dict[int, float] = {}
        self._unsaid: dict[int, int] = {}

    def __call__(self, error: KafkaError) -> None:
        code, now = error.code(), self._clock()
        if now < self._quiet_until.get(code, now):
            self._unsaid[code] = self._unsaid.get(code, 0) + 1
            return
        self._quiet_until[code] = now + self._every_s
        log.warning(
            "kafka_client_error", code=error.name(), detail=_plain(error.str()), repeated=self._unsaid.pop(code, 0)
        )


def explain(
    error: KafkaException | KafkaError, bootstrap: str, complaints: Complaints | None = None, *, doing: str = ""
) -> KafkaUnavailableError:
    """One sentence: where, what happened, what to do. `doing` names the attempted work, such as `creating topic x`."""
    raised = error.args[0] if isinstance(error, KafkaException) else error
    told = complaints.most_telling(raised) if complaints is not None else raised
    problem = problem_of(told)
    words = _plain(told.str())
    while_doing = f" while {doing}" if doing else ""
    seen, advice = {
        KafkaProblem.UNREACHABLE: (
            f"Kafka at {bootstrap} cannot be reached{while_doing} ({words})",
            "start it with `meterhouse up`, or set METERHOUSE_KAFKA_BOOTSTRAP to where yours listens",
        ),
        KafkaProblem.CREDENTIALS: (
            f"Kafka at {bootstrap} did not accept our credentials{while_doing} ({words})",
            "check sasl.mechanism, sasl.username and sasl.password in METERHOUSE_KAFKA_OPTIONS",
        ),
        KafkaProblem.TLS: (
            f"no TLS connection to Kafka at {bootstrap}{while_doing} ({words})",
            "check security.protocol and ssl.ca.location in METERHOUSE_KAFKA_OPTIONS",
        ),
        KafkaProblem.FORBIDDEN: (
            f"Kafka at {bootstrap} does not allow this user{while_doing} ({words})",
            "grant it the operation, or name another user in METERHOUSE_KAFKA_OPTIONS",
        ),
        KafkaProblem.REFUSED: (
            f"Kafka at {bootstrap} refused{while_doing} ({words})",
            "change what it refuses, then run this again",
        ),
    }[problem]
    return KafkaUnavailableError(seen, advice, problem)


def is_leaderless(error: KafkaError) -> bool:
    """Whether a partition has no leader for the moment: asking again soon is all there is to do."""
    return error.code() in (
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError._NOENT,
    )


def no_answer(words: str) -> KafkaError:
    """A deadline of ours that passed, as librdkafka would report its own."""
    return KafkaError(KafkaError._TIMED_OUT, words)


def wrong_option(error: KafkaException) -> SettingsError | None:
    """The sentence for a setting that librdkafka does not know or whose value it rejects; None for anything else."""
    cause = error.args[0]
    if not isinstance(cause, KafkaError) or cause.code() not in (
        KafkaError._INVALID_ARG,
        KafkaError._NOT_IMPLEMENTED,
        KafkaError._SSL,
    ):
        return None
    words = _hide_secrets(cause.str())
    return SettingsError(
        f"METERHOUSE_KAFKA_OPTIONS is wrong: librdkafka says: {words}. Correct the name or the value "
        "(librdkafka's CONFIGURATION.md lists all) and start again."
    )


def _plain(words: str) -> str:
    # "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)"
    words = re.sub(r"^(sasl_|ssl_)?[^\s]+/(bootstrap|\d+): ", "", words)
    words = re.sub(r" \(after \d+ms in state [^)]*\)", "", words)
    return words.strip().rstrip(".:")


def _hide_secrets(words: str) -> str:
    return re.sub(
        r'(Invalid value )"[^"]*"( for configuration property "[^"]*(?:password|secret|key)[^"]*")', r"\1***\2", words
    )
