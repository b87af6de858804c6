"""Sends an agent's events to the front door, and never gets in the agent's way.

In: events as dicts. Out: each at the front door at least once, under an event_id made once, so it counts once. `send`
neither waits nor raises: events are encoded and kept in bounded memory, a thread sends them in signed batches and tries
again while the front door is away. What does not fit is dropped, counted and said in the log, at most once a minute.
Standard library only: an agent gets nothing with it but this file.
"""

import atexit
import gzip
import hashlib
import hmac
import http.client
import json
import logging
import os
import random
import threading
import time
import uuid
import weakref
from collections import deque
from dataclasses import dataclass, replace
from typing import Final, Literal, Self, TypedDict
from urllib.parse import SplitResult, urlsplit

log = logging.getLogger("meterhouse")

# Below this gzip saves less than it costs.
_WORTH_PACKING: Final = 1_024
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0
_SAY_AGAIN_AFTER_S: Final = 60.0
# The answers that say that these very events can never be taken.
_REFUSED_FOR_GOOD: Final = (400, 403, 415, 422)


class Event(TypedDict, total=False):
    """An event's fields; docs/event-contract.md says what each means. `event_id` and `occurred_at` are filled in.

    Token counts are inclusive: cached input is part of `input_tokens`, reasoning part of `output_tokens`. A count that
    is not known is left out, never 0.
    """

    event_id: str
    event_type: Literal[
        "agent_run_started", "agent_run_finished", "agent_step", "llm_call", "tool_call", "error", "business_event"
    ]
    occurred_at: str | int
    environment: str
    service: str
    agent: str
    session_id: str
    run_id: str
    actor_id: str
    route: str
    trace_id: str
    span_id: str
    parent_span_id: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    prompt_hash: str
    time_to_first_token_ms: float
    tool_name: str
    status: Literal["ok", "error", "timeout", "cancelled"]
    error_type: str
    latency_ms: float
    cost_usd: str
    context: dict[str, object]


@dataclass(frozen=True, slots=True)
class Counts:
    """Events so far: `accepted` by the front door, `refused` by it for good, `dropped` here for want of room or sense,
    `waiting` for their answer; `retries` counts batches."""

    accepted: int = 0
    refused: int = 0
    dropped: int = 0
    retries: int = 0
    waiting: int = 0


class Client:
    """One a process; threads may share it. As a context manager it is closed at the end.

    `url` of the front door, `key` and `secret` as `meterhouse keys make` prints them. Raises ValueError for a wrong
    URL, key or secret, at once; nothing raises after that.
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        *,
        batch_events: int = 500,
        flush_every_s: float = 1.0,
        most_bytes: int = 8 << 20,
        timeout_s: float = 10.0,
        close_within_s: float = 5.0,
    ) -> None:
        self._url = _checked(url, key, secret)
        self._key, self._secret = key, secret.encode()
        self._batch_events = batch_events
        self._flush_every_s = flush_every_s
        self._most_bytes = most_bytes
        self._timeout_s = timeout_s
        self._close_within_s = close_within_s
        self._said_at_s: dict[str, float] = {}
        self._forget()
        _CLIENTS.add(self)

    @classmethod
    def from_environment(cls) -> Self:
        """From METERHOUSE_URL, METERHOUSE_KEY and METERHOUSE_SECRET. Raises ValueError where one is missing."""
        names = ("METERHOUSE_URL", "METERHOUSE_KEY", "METERHOUSE_SECRET")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise ValueError(
                f"{', '.join(missing)} not set: `meterhouse keys make WORKSPACE` prints a key and its secret."
            )
        return cls(*(os.environ[name] for name in names))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def counts(self) -> Counts:
        with self._lock:
            return replace(self._counts, waiting=len(self._lines) + len(self._flying))

    def send(self, event: Event) -> bool:
        """Takes an event along; False where it was dropped. Neither waits for anything nor raises."""
        try:
            whole = {"event_id": str(uuid.uuid4()), "occurred_at": time.time_ns() // 1_000_000, **event}
            line = json.dumps(whole, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            return self._drop(f"an event that JSON cannot hold ({type(error).__name__})")
        with self._lock:
            if self._is_closed or self._held_bytes + len(line) > self._most_bytes:
                why = "the client is closed" if self._is_closed else f"{self._most_bytes:,} bytes wait already"
            else:
                why = ""
                self._lines.append(line)
                self._held_bytes += len(line)
                self._start()
                if len(self._lines) >= self._batch_events:
                    self._wake.set()
        return self._drop(why) if why else True

    def flush(self, within_s: float = 10.0) -> bool:
        """Waits until all that was given is answered for; False where that took longer."""
        with self._lock:
            self._hurry = True
            self._wake.set()
            return self._settled.wait_for(lambda: not self._lines and not self._flying, within_s)

    def close(self, within_s: float | None = None) -> bool:
        """Flushes, then takes nothing more; False where events were left."""
        done = self.flush(self._close_within_s if within_s is None else within_s)
        with self._lock:
            self._is_closed = True
            self._wake.set()
        _CLIENTS.discard(self)
        return done

    def _forget(self) -> None:
        """As new: at the start, and in a forked child, whose parent sends what the parent was given."""
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._lines: deque[bytes] = deque()
        self._flying: list[bytes] = []
        self._held_bytes = 0
        self._counts = Counts()
        self._is_closed = self._hurry = False
        self._thread: threading.Thread | None = None
        self._connection: http.client.HTTPConnection | None = None

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="meterhouse-client", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        waits = 0
        while True:
            self._wake.wait(self._flush_every_s)
            with self._lock:
                self._wake.clear()
                if self._is_closed and not self._lines and not self._flying:
                    return
                while self._lines and len(self._flying) < self._batch_events:
                    self._flying.append(self._lines.popleft())
                batch = list(self._flying)
            if not batch:
                continue
            try:
                wait_s = self._post(batch)
            except Exception as error:  # noqa: BLE001  # whatever it is, the agent goes on and the events are kept
                self._close_connection()
                self._say("away", "%s does not take events (%s); they are kept", self._url.netloc, type(error).__name__)
                wait_s = _FIRST_WAIT_S
            if wait_s is None:
                waits = 0
                with self._lock:
                    if self._lines and (self._hurry or len(self._lines) >= self._batch_events):
                        self._wake.set()
                continue
            waits += 1
            longest_s = min(_LONGEST_WAIT_S, wait_s * 2 ** min(waits - 1, 10))
            with self._lock:
                self._counts = replace(self._counts, retries=self._counts.retries + 1)
                if self._is_closed:
                    return
            time.sleep(min(_LONGEST_WAIT_S, max(wait_s, random.uniform(0.5, 1.0) * longest_s)))  # noqa: S311  # jitter
            self._wake.set()

    def _post(self, batch: list[bytes]) -> float | None:
        """One attempt. None when the batch is settled, else the seconds to wait before the next."""
        body = b"\n".join(batch)
        headers = {"content-type": "application/x-ndjson", "user-agent": "meterhouse-client"}
        if len(body) >= _WORTH_PACKING:
            body, headers["content-encoding"] = gzip.compress(body, 1), "gzip"
        stamp = f"{time.time():.6f}"
        digest = hmac.digest(self._secret, stamp.encode() + b"." + body, hashlib.sha256).hex()
        headers |= {
            "x-meterhouse-key": self._key,
            "x-meterhouse-timestamp": stamp,
            "x-meterhouse-signature": digest,
        }
        connection = self._connection = self._connection or _connect(self._url, self._timeout_s)
        connection.request("POST", f"{self._url.path.rstrip('/')}/v1/events", body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == 200:
            said = json.loads(content)
            self._settle(batch, int(said["accepted"]), said.get("errors", []))
            return None
        if answer.status == 413 and len(batch) > 1:
            with self._lock:
                self._lines.extendleft(reversed(self._flying[len(batch) // 2 :]))
                del self._flying[len(batch) // 2 :]
                self._batch_events = max(1, len(batch) // 2)
            return 0.0
        if answer.status in (*_REFUSED_FOR_GOOD, 413):
            self._settle(batch, 0, _errors(content))
            return None
        self._say("refused", "%s answers %d; the events are kept", self._url.netloc, answer.status)
        after = answer.headers.get("retry-after", "")
        return float(after) if after.isdigit() else _FIRST_WAIT_S

    def _settle(self, batch: list[bytes], accepted: int, errors: list[dict[str, object]]) -> None:
        with self._lock:
            self._flying.clear()
            self._held_bytes -= sum(map(len, batch))
            counts, refused = self._counts, len(batch) - accepted
            self._counts = replace(counts, accepted=counts.accepted + accepted, refused=counts.refused + refused)
            self._hurry = self._hurry and bool(self._lines)
            self._settled.notify_all()
        if refused:
            first = errors[0] if errors else {}
            why = first.get("reason") or first.get("message") or "no reason given"
            self._say("events", "the front door refused %d of %d events for good: %s", refused, len(batch), why)

    def _drop(self, why: str) -> bool:
        with self._lock:
            self._counts = replace(self._counts, dropped=self._counts.dropped + 1)
        self._say(why, "an event was dropped: %s; %d so far", why, self._counts.dropped)
        return False

    def _say(self, kind: str, words: str, *values: object) -> None:
        """At most once a minute of each kind."""
        now_s = time.monotonic()
        if now_s - self._said_at_s.get(kind, -_SAY_AGAIN_AFTER_S) >= _SAY_AGAIN_AFTER_S:
            self._said_at_s[kind] = now_s
            log.warning(words, *values)

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _checked(url: str, key: str, secret: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected the front door's address as http://host:port, came {url!r}.")
    if not key or not secret or not key.isascii():
        raise ValueError("expected a key and its secret, as `meterhouse keys make WORKSPACE` prints them, came none.")
    return parts


def _connect(url: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return kind(url.hostname or "", url.port, timeout=timeout_s)


def _errors(content: bytes) -> list[dict[str, object]]:
    """The reasons of an answer that refuses all: of each event, or of the request."""
    try:
        said = json.loads(content)
        return list(said.get("errors") or [said["error"]])
    except (ValueError, KeyError, AttributeError, TypeError):
        return []


_CLIENTS: Final["weakref.WeakSet[Client]"] = weakref.WeakSet()


def _close_all() -> None:
    for client in list(_CLIENTS):
        client.close()


def _start_anew() -> None:
    for client in list(_CLIENTS):
        client._forget()  # noqa: SLF001  # this module's own


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
