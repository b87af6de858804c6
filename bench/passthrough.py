"""A plain pass-through loader, written as well as one writes it by hand: consume a batch, join, insert, commit.

No checks, no dead letters, no ledger: at least once on a good day. It is what the loader has to beat. Run as a process:
`python -m bench.passthrough BOOTSTRAP URL TABLE TOPIC EVENTS`; its last line is a JSON object of `Outcome`.
"""

import sys
import time
import urllib.parse
from dataclasses import asdict, dataclass

import msgspec
import urllib3
from confluent_kafka import Consumer, TopicPartition

BATCH_ROWS = 65_536
BATCH_AGE_S = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """Times are epoch seconds: `reading_at` when partitions were assigned, `landed_at` after the last insert.

    `startup_cpu_s` is what the process had used when partitions were assigned.
    """

    events: int
    reading_at: float
    landed_at: float
    startup_cpu_s: float


def load(bootstrap: str, url: str, table: str, topic: str, events: int) -> Outcome:
    """Loads until `events` messages are in. Raises on the first thing that goes wrong, like its kind does."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"passthrough-{table}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            "queued.max.messages.kbytes": 65_536,
            "fetch.max.bytes": 16 << 20,
            "max.partition.fetch.bytes": 4 << 20,
        }
    )
    assigned_at: list[float] = []
    startup_cpu_s: list[float] = []

    def on_assign(_: Consumer, __: list[TopicPartition]) -> None:
        assigned_at.append(time.time())
        startup_cpu_s.append(time.process_time())

    consumer.subscribe([topic], on_assign=on_assign)
    http = urllib3.PoolManager()
    settings = {"query": f"insert into {table} format JSONEachRow", "date_time_input_format": "best_effort"}
    target = f"{url}/?{urllib.parse.urlencode(settings)}"
    landed = 0
    while landed < events:
        batch: list[bytes] = []
        deadline = time.monotonic() + BATCH_AGE_S
        while len(batch) < BATCH_ROWS and (left_s := deadline - time.monotonic()) > 0:
            if landed + len(batch) >= events:
                break
            for message in consumer.consume(10_000, timeout=min(left_s, 0.1)):
                value = message.value()
                if message.error() or value is None:
                    raise RuntimeError(f"expected messages of {topic}, came {message.error()}")
                batch.append(value)
        if not batch:
            continue
        answer = http.request("POST", target, body=b"\n".join(batch))
        if answer.status != 200:
            raise RuntimeError(f"expected 200 for the insert into {table}, came {answer.status}: {answer.data[:300]!r}")
        consumer.commit(asynchronous=False)
        landed += len(batch)
    done_at = time.time()
    consumer.close()
    return Outcome(landed, assigned_at[0], done_at, startup_cpu_s[0])


if __name__ == "__main__":
    given = sys.argv[1:]
    print(msgspec.json.encode(asdict(load(given[0], given[1], given[2], given[3], int(given[4])))).decode())
