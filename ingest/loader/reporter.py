"""Rewrites ops.load_progress every few seconds: how far each partition is, and up to when it is complete.

In: the loop's standings and Kafka's watermarks. Out: a row a partition, and the lag metric. complete_to is the time at
which the watermarks were asked for where nothing was left to land, else Kafka's time of the last landed message. Runs
in a thread of its own with an admin client of its own; a failure is logged and the next turn tries again.
"""

import threading
import uuid
from collections.abc import Callable, Sequence

import structlog

from ingest.kafka import KafkaAdmin, lag
from ingest.loader.clock import Clock
from ingest.loader.ledger import Ledger, Progress
from ingest.loader.metrics import Metric, Metrics
from ingest.loader.partition import Standing
from ingest.loader.retry import first_line

log = structlog.get_logger()


class Reporter:
    """Started with the loop, closed after it; the last thing its thread does is a last report."""

    def __init__(
        self,
        admin: KafkaAdmin,
        ledger: Ledger,
        standings: Callable[[], Sequence[Standing]],
        metrics: Metrics,
        clock: Clock,
        interval_s: float,
    ) -> None:
        self._admin = admin
        self._ledger = ledger
        self._standings = standings
        self._metrics = metrics
        self._clock = clock
        self._interval_s = interval_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._turn, name="progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, within_s: float) -> None:
        """Has the thread report once more and end; does not wait for it longer than the seconds."""
        self._closing.set()
        self._thread.join(within_s)

    def report(self) -> None:
        """One report now; a failure is logged, since the next one says the same and more."""
        standings = self._standings()
        if not standings:
            return
        asked_at_ms = self._clock.now_ms()
        try:
            topics = {one.source.topic for one in standings}
            marks = self._admin.watermarks(topics)
            partitions = {name: len(topic.partitions) for name, topic in self._admin.describe(topics).items()}
            rows = []
            for one in standings:
                key = (one.source.topic, one.source.partition)
                if key not in marks:
                    continue
                behind = lag(one.next_offset, marks[key].high)
                self._metrics.set(Metric.LAG, behind, topic=key[0], partition=str(key[1]))
                rows.append(
                    Progress(
                        source=one.source,
                        next_offset=one.next_offset,
                        low_watermark=marks[key].low,
                        high_watermark=max(marks[key].high, one.next_offset),
                        complete_to_ms=asked_at_ms if behind == 0 else one.last_appended_ms,
                        oldest_occurred_ms=one.oldest_occurred_ms,
                        newest_occurred_ms=one.newest_occurred_ms,
                        last_appended_ms=one.last_appended_ms,
                        partition_count=partitions[key[0]],
                    )
                )
            if rows:
                self._ledger.report(rows, f"progress:{uuid.uuid4()}")
        except Exception as error:  # noqa: BLE001  # a report that fails must not end the loading it reports on
            log.warning("progress_report_failed", words=first_line(error))

    def _turn(self) -> None:
        while not self._closing.wait(self._interval_s):
            self.report()
        self.report()
