"""Waits at the start for ClickHouse and Kafka, as the loader does later for every call, and says so in the log.

In: an action that raises WarehouseUnavailableError or KafkaUnavailableError while there is nobody. Out: its result.
Raises the sentence once METERHOUSE_RETRY_DEADLINE_S is over, at once where waiting cannot help; Stopped on a stop.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog

from ingest.kafka import KafkaProblem, KafkaUnavailableError
from ingest.loader.clock import SYSTEM_CLOCK, Clock
from ingest.loader.retry import Retrier, RetryPolicy, first_line
from ingest.warehouse import WarehouseUnavailableError
from ingest.warehouse_errors import ErrorKind

_T = TypeVar("_T")

log = structlog.get_logger()


def wait_for(
    what: str, action: Callable[[], _T], deadline_s: float, stopping: threading.Event, clock: Clock = SYSTEM_CLOCK
) -> _T:
    """The action's result. `what` says in a sentence what is tried, such as `connecting to ClickHouse`."""

    def told(_: ErrorKind, error: Exception, wait_s: float) -> None:
        log.warning("waiting", what=what, words=first_line(error), again_in_s=round(wait_s, 2))

    policy = RetryPolicy(deadline_s, first_wait_s=0.5, longest_wait_s=5.0)
    return Retrier(policy, classify=_may_pass, stop=stopping, on_retry=told, clock=clock).call(what, action)


def _may_pass(error: Exception) -> ErrorKind:
    if isinstance(error, WarehouseUnavailableError):
        return ErrorKind.TRANSIENT
    if isinstance(error, KafkaUnavailableError) and error.problem is KafkaProblem.UNREACHABLE:
        return ErrorKind.TRANSIENT
    return ErrorKind.UNKNOWN
