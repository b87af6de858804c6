"""The front door under load: events and spans a second, and how long a request takes, on one server process.

In: how many requests. Out: DoorResult for batches of 100 signed events and for OTLP exports of 100 spans. Broker,
server and load generator share the machine; each is a process of its own, started here and stopped. The generator
keeps a few connections busy, signs each request and counts what was acknowledged; then the topics are counted too.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from rich.console import Console

from bench import stand
from ingest.api.key_changes import add_key
from ingest.api.signatures import sign
from ingest.embedded.processes import METERHOUSE
from ingest.embedded.stack import answers_ok
from ingest.kafka import KafkaAdmin
from tests.support.servers import Server, free_port, launch

Way = Literal["events", "traces"]
BATCH = 100
CONNECTIONS = 8
_BODIES = 64
_KEY = "bench"


@dataclass(frozen=True)
class DoorResult:
    """`p99_ms`: from the request's first byte sent to its answer. `landed` counts messages in the topic."""

    way: Way
    items: int
    seconds: float
    p50_ms: float
    p99_ms: float
    server_cpu_us: float
    messages: int

    @property
    def rate(self) -> float:
        """Events or spans a second."""
        return self.items / self.seconds


def measure(requests: int, folder: Path, console: Console) -> list[DoorResult]:
    """Both ways, one after the other, on a broker and a server of their own. Raises where one is not acknowledged."""
    folder.mkdir(parents=True, exist_ok=True)
    broker_port, port = free_port(), free_port()
    broker = stand.start_broker(folder / "broker", broker_port)
    try:
        keys = folder / "keys.json"
        secret = add_key(keys, _KEY, "bench", (), 1_000_000.0).secrets[0]
        server = _start_server(folder, broker_port, port, keys)
        try:
            results = []
            for way in ("events", "traces"):
                results.append(_run(way, requests, port, server, f"127.0.0.1:{broker_port}", secret))
                last = results[-1]
                console.print(
                    f"door, {way}: {last.rate:,.0f} a second in batches of {BATCH}, p50 {last.p50_ms:.1f} ms, "
                    f"p99 {last.p99_ms:.1f} ms, server {last.server_cpu_us:.1f} us of CPU each"
                )
            return results
        finally:
            server.stop()
    finally:
        broker.stop()


def _start_server(folder: Path, broker_port: int, port: int, keys: Path) -> Server:
    environment = {
        "METERHOUSE_HOME": str(folder),
        "METERHOUSE_KAFKA_BOOTSTRAP": f"127.0.0.1:{broker_port}",
        "METERHOUSE_API_KEYS_FILE": str(keys),
        "METERHOUSE_API_PORT": str(port),
        "METERHOUSE_API_GRPC": "false",
        "METERHOUSE_API_ADDRESS_REQUESTS_PER_S": "100000",
    }
    return launch([*METERHOUSE, "serve"], folder / "serve.log", lambda: _answers(port), within_s=90, env=environment)


def _answers(port: int) -> bool:
    return answers_ok(f"http://127.0.0.1:{port}/readyz")


def _run(way: Way, requests: int, port: int, server: Server, bootstrap: str, secret: str) -> DoorResult:
    before = _cpu_s(server.pid)
    topic = "agent_events" if way == "events" else "otlp_traces"
    seen = _messages(bootstrap, topic)
    argv = [sys.executable, "-m", "bench.door", "--generate", way, "--port", str(port), "--requests", str(requests)]
    done = subprocess.run(
        argv, env={**os.environ, "BENCH_SECRET": secret}, capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    messages = _messages(bootstrap, topic) - seen
    expected = told["items"] if way == "events" else told["items"] // BATCH
    if messages < expected:
        raise RuntimeError(f"{expected} messages were acknowledged, {topic} has {messages}")
    used = _cpu_s(server.pid) - before
    return DoorResult(
        way, told["items"], told["seconds"], told["p50_ms"], told["p99_ms"], used / told["items"] * 1e6, messages
    )


def _messages(bootstrap: str, topic: str) -> int:
    with KafkaAdmin(bootstrap, {}) as admin:
        return sum(marks.high for marks in admin.watermarks([topic]).values())


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def events_body(rng: random.Random) -> bytes:
    """A hundred model calls, as an SDK would send them."""
    now_ms = time.time_ns() // 1_000_000
    return msgspec.json.encode(
        [
            {
                "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
                "event_type": "llm_call",
                "occurred_at": now_ms - rng.randrange(60_000),
                "environment": "production",
                "service": "support",
                "source": "bench/1.0",
                "agent": f"agent-{rng.randrange(20)}",
                "session_id": f"s-{rng.randrange(10**9)}",
                "run_id": f"r-{rng.randrange(10**9)}",
                "actor_id": f"{rng.getrandbits(128):032x}",
                "route": "/v1/answer",
                "provider": "openai",
                "model": "gpt-4o-mini",
                "input_tokens": 1000 + rng.randrange(1000),
                "output_tokens": rng.randrange(500),
                "cache_read_tokens": rng.randrange(1000),
                "status": "ok",
                "latency_ms": round(rng.random() * 5000, 3),
                "context": {"region": "eu-1", "attempt": 1},
            }
            for _ in range(BATCH)
        ]
    )


def spans_body(rng: random.Random) -> bytes:
    """A hundred spans of model calls, as OpenTelemetry's instrumentation of a provider's SDK writes them."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(
        [_attribute("service.name", "support"), _attribute("telemetry.sdk.language", "py")]
    )
    scope = group.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.openai_v2"
    for _ in range(BATCH):
        span = scope.spans.add(trace_id=rng.randbytes(16), span_id=rng.randbytes(8), name="chat gpt-4o-mini", kind=3)
        span.end_time_unix_nano = time.time_ns()
        span.start_time_unix_nano = span.end_time_unix_nano - rng.randrange(10**9)
        span.attributes.extend(
            [
                _attribute("gen_ai.operation.name", "chat"),
                _attribute("gen_ai.provider.name", "openai"),
                _attribute("gen_ai.request.model", "gpt-4o-mini"),
                _attribute("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
                _attribute("gen_ai.response.id", f"chatcmpl-{rng.getrandbits(96):x}"),
                _attribute("gen_ai.usage.input_tokens", rng.randrange(2000)),
                _attribute("gen_ai.usage.output_tokens", rng.randrange(500)),
                _attribute("gen_ai.usage.cache_read.input_tokens", rng.randrange(500)),
                _attribute("gen_ai.agent.name", f"agent-{rng.randrange(20)}"),
                _attribute("gen_ai.conversation.id", f"{rng.getrandbits(64):x}"),
                _attribute("server.address", "api.openai.com"),
                _attribute("server.port", 443),
            ]
        )
    return request.SerializeToString()


def _attribute(name: str, value: str | int) -> KeyValue:
    return KeyValue(
        key=name, value=AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value)
    )


async def generate(way: Way, port: int, requests: int, secret: str) -> dict[str, float]:
    """Sends signed requests over a few connections; raises at the first that is not answered 200."""
    rng = random.Random(7)
    bodies = [events_body(rng) if way == "events" else spans_body(rng) for _ in range(_BODIES)]
    media_type = "application/json" if way == "events" else "application/x-protobuf"
    left = iter(range(requests))
    took: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in left:
            body = bodies[number % _BODIES]
            timestamp = f"{time.time():.3f}{number % 1_000_000:06d}"
            head = (
                f"POST /v1/{way} HTTP/1.1\r\nhost: bench\r\ncontent-type: {media_type}\r\n"
                f"content-length: {len(body)}\r\nx-meterhouse-key: {_KEY}\r\nx-meterhouse-timestamp: {timestamp}\r\n"
                f"x-meterhouse-signature: {sign(secret, timestamp, body)}\r\n\r\n"
            )
            started = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in answer[:16]:
                raise RuntimeError(f"expected 200, came {answer[:300]!r}")
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            took.append((time.perf_counter() - started) * 1000)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    seconds = time.perf_counter() - started
    took.sort()
    return {
        "items": requests * BATCH,
        "seconds": seconds,
        "p50_ms": took[len(took) // 2],
        "p99_ms": took[int(len(took) * 0.99)],
    }


def main() -> None:
    """Alone: `python -m bench.door`; with --generate: the load generator's own process."""
    parser = argparse.ArgumentParser(prog="python -m bench.door", description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000, help="requests of each way")
    parser.add_argument("--generate", choices=("events", "traces"), help="only send")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    if given.generate:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            told = runner.run(generate(given.generate, given.port, given.requests, os.environ["BENCH_SECRET"]))
        print(json.dumps(told))
        return
    with tempfile.TemporaryDirectory(prefix="meterhouse-door-") as made:
        for result in measure(given.requests, Path(made), Console(highlight=False)):
            print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
