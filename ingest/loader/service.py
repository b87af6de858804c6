"""Puts the loader together and runs it: consumer, worker threads, health server, watchdog, reporter.

In: Settings. Out: a LoadReport; MeterhouseError when it had to stop, WorkAbandonedError when work was left at a stop.
SIGTERM and SIGINT set a flag; the loop lands what it holds, leaves the group and ends, all of it within
METERHOUSE_DRAIN_DEADLINE_S.
"""

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from clickhouse_connect.driver.client import Client

from ingest.kafka import KafkaAdmin, TopicSpec, open_consumer, open_producer, producer_config
from ingest.loader.clock import SYSTEM_CLOCK
from ingest.loader.commits import Commits
from ingest.loader.dead_letters import DeadLetters
from ingest.loader.finish import Finish
from ingest.loader.health import Health, HealthServer
from ingest.loader.intake import BatchLimits
from ingest.loader.joining import Joining
from ingest.loader.lander import Lander
from ingest.loader.ledger import Ledger
from ingest.loader.loop import Loop, LoopLimits
from ingest.loader.metrics import Metric, Metrics
from ingest.loader.reading import consumer_options, group_patience_s
from ingest.loader.rejects import RejectGuard
from ingest.loader.reporter import Reporter
from ingest.loader.retry import Retrier, RetryPolicy, Stopped, first_line
from ingest.loader.run import Stream
from ingest.loader.starting import wait_for
from ingest.loader.stopping import Ending, stop_on_signals
from ingest.loader.streams import all_streams
from ingest.loader.takeup import TakeUp
from ingest.loader.warmup import warm_up
from ingest.loader.watchdog import Watchdog
from ingest.settings import Settings
from ingest.warehouse import connect
from ingest.warehouse_errors import ErrorKind, kind_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """While loading: rows landed and messages refused so far, messages still to come (None: not known)."""

    landed: int
    rejected: int
    remaining: int | None


@dataclass(frozen=True, slots=True)
class LoadReport:
    """At the end: counts of this process's work, and the seconds from the first take-up."""

    landed: int
    rejected: int
    messages: int
    seconds: float
    lost: int


def run_loader(
    settings: Settings,
    *,
    drain: bool = False,
    on_progress: Callable[[LoadProgress], None] | None = None,
    owner: str | None = None,
    stopping: threading.Event | None = None,
) -> LoadReport:
    """Loads until stopped, or with `drain` until all that the topics held at the start is in."""
    started_s = time.monotonic()
    stopping = stopping or threading.Event()
    abandon = threading.Event()
    metrics = Metrics()
    streams = all_streams(settings)
    topics = [stream.topic for stream in streams]
    ending = Ending(SYSTEM_CLOCK, settings.drain_deadline_s)
    commits = Commits()
    watchdog = Watchdog(settings.stall_dump_s)
    loop: Loop | None = None
    with contextlib.ExitStack() as stack:
        stack.enter_context(stop_on_signals(stopping, settings.drain_deadline_s))
        server = HealthServer(settings.metrics_host, settings.metrics_port, metrics, lambda: _health(loop, watchdog))
        stack.callback(server.close)
        try:
            client = wait_for(
                "connecting to ClickHouse", lambda: _client(settings), settings.retry_deadline_s, stopping
            )
            stack.callback(client.close)
            admin = stack.enter_context(KafkaAdmin(settings.bootstrap, settings.kafka_options))
            reporting_admin = stack.enter_context(KafkaAdmin(settings.bootstrap, settings.kafka_options))
            specs = _specs(settings, streams)
            wait_for("connecting to Kafka", lambda: admin.ensure_topics(specs), settings.retry_deadline_s, stopping)
        except Stopped:
            return LoadReport(0, 0, 0, time.monotonic() - started_s, 0)
        ledger = Ledger(client, settings.database("ops"), owner or _owner())
        producer = open_producer(producer_config(settings.bootstrap, settings.kafka_options))
        dead_letters = DeadLetters(client, f"{settings.database('raw')}.dead_letters", producer, metrics)
        retrier = Retrier(
            RetryPolicy(settings.retry_deadline_s),
            classify=kind_of,
            stop=abandon,
            on_retry=lambda kind, error, wait_s: _say_retry(metrics, kind, error, wait_s),
        )
        guard = RejectGuard(settings.max_reject_share, settings.reject_window_events)
        workers = ThreadPoolExecutor(settings.inserts_in_flight, thread_name_prefix="land")
        stack.callback(workers.shutdown, wait=False, cancel_futures=True)
        asking = ThreadPoolExecutor(1, thread_name_prefix="take-up")
        stack.callback(asking.shutdown, wait=False, cancel_futures=True)
        stack.callback(abandon.set)
        stack.callback(watchdog.close)
        watchdog.beat()  # what was waited for is no stall
        reading = consumer_options(settings)
        consumer = open_consumer(reading, on_commit=commits.heard)
        stack.callback(ending.close, "consumer", consumer.close)
        loop = Loop(
            consumer,
            streams,
            TakeUp(admin, ledger, SYSTEM_CLOCK, settings.retry_deadline_s),
            Lander(client, ledger, dead_letters, guard, retrier, metrics, SYSTEM_CLOCK),
            workers,
            asking,
            LoopLimits(
                BatchLimits(settings.batch_rows, settings.batch_bytes, settings.batch_age_s),
                settings.inserts_in_flight,
                settings.buffer_bytes,
                settings.drain_deadline_s,
                group_patience_s(reading),
            ),
            metrics,
            watchdog,
            SYSTEM_CLOCK,
            commits=commits,
            commit=lambda offsets: consumer.commit(offsets=offsets, asynchronous=True),
            mend=Joining(admin, settings.consumer_group).mend,
            is_cooperative=settings.partition_assignor == "cooperative-sticky",
        )
        finish = Finish(admin, ledger, loop, topics, SYSTEM_CLOCK) if drain else None
        reporter = Reporter(
            reporting_admin, ledger, loop.standings, metrics, SYSTEM_CLOCK, settings.progress_interval_s
        )
        warm_up(streams)
        rebalance = loop.rebalance
        consumer.subscribe(
            topics, on_assign=rebalance.on_assign, on_revoke=rebalance.on_revoke, on_lost=rebalance.on_lost
        )
        log.info("loading", topics=",".join(topics), owner=ledger.owner, metrics_port=server.port, drain=drain)
        watchdog.start()
        reporter.start()

        def is_finished() -> bool:
            if on_progress is not None:
                remaining = finish.remaining() if finish is not None else None
                on_progress(LoadProgress(loop.tally.landed, loop.tally.rejected, remaining))
            return finish is not None and finish.is_reached()

        try:
            loop.run(stopping, is_finished, lambda: ending.deadline)
        finally:
            reporter.close(ending.deadline.left_s / 2)
            rebalance.leave(ending.deadline)
        tally = loop.tally
    seconds = time.monotonic() - started_s
    log.info("loaded", messages=tally.messages, landed=tally.landed, rejected=tally.rejected, lost=tally.lost)
    return LoadReport(tally.landed, tally.rejected, tally.messages, seconds, tally.lost)


def _client(settings: Settings) -> Client:
    return connect(
        settings.clickhouse,
        connect_timeout_s=settings.clickhouse_connect_timeout_s,
        request_timeout_s=settings.clickhouse_request_timeout_s,
    )


def _specs(settings: Settings, streams: list[Stream]) -> list[TopicSpec]:
    names = [name for stream in streams for name in (stream.topic, stream.dead_letter_topic)]
    return [TopicSpec(name, settings.kafka_partitions, settings.kafka_replication) for name in names]


def _say_retry(metrics: Metrics, kind: ErrorKind, error: Exception, wait_s: float) -> None:
    metrics.count(Metric.INSERT_RETRIES, kind=kind.value)
    log.warning("retrying", kind=kind.value, words=first_line(error), again_in_s=round(wait_s, 2))


def _health(loop: Loop | None, watchdog: Watchdog) -> Health:
    """Alive while the loop turns, ready when everything the group gave us is being read."""
    if loop is None:
        return Health(is_alive=True, is_ready=False, reasons=("waiting for ClickHouse and Kafka to answer",))
    reasons = []
    stalled_s = watchdog.stalled_for()
    if stalled_s:
        reasons.append(f"the loop has not turned for {stalled_s:.0f} s")
    if not loop.rebalance.is_member:
        reasons.append("the consumer group has not assigned partitions yet")
    elif not loop.rebalance.is_settled:
        reasons.append("partitions wait for ClickHouse or Kafka to say where they go on")
    return Health(is_alive=not stalled_s, is_ready=not reasons, reasons=tuple(reasons))


def _owner() -> str:
    """A name no other process ever has, so that a claim read back tells whose it is."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
