"""How much at once and how fast: requests in work, memory of bodies, rates of a key and of an address.

In: who asks, and for how much. Out: nothing, or a Refusal with the time after which it is worth trying again: 429 where
the client sends too fast, 503 where the server is full. Rates are sliding windows of the package `limits`, in memory.
"""

import ipaddress
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from ingest.api.credential import Credential
from ingest.api.refusal import Refusal, overloaded

_WINDOW_S: Final = 10
_UNKNOWN: Final = "unknown"


class Rates:
    """Events a second of a key, requests a second of an address; bursts of up to ten seconds' worth pass."""

    def __init__(self, *, key_events_per_s: float, address_requests_per_s: float) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._key_events_per_s = key_events_per_s
        self._address_item = _per_window(address_requests_per_s)
        self._key_items: dict[float, RateLimitItemPerSecond] = {}

    def admit_address(self, address: str | None) -> None:
        """One request from an address."""
        if not self._limiter.hit(self._address_item, "address", network_of(address)):
            wait_s = self._wait_s(self._address_item, "address", network_of(address))
            raise Refusal(429, "address_rate", "Too many requests from this address.", retry_after_s=wait_s)

    def admit_events(self, credential: Credential, count: int) -> None:
        """`count` events of a key. A batch larger than the rate's whole window passes when nothing else came."""
        rate = credential.events_per_s or self._key_events_per_s
        item = self._key_items.get(rate) or self._key_items.setdefault(rate, _per_window(rate))
        if not self._limiter.hit(item, "key", credential.name, cost=min(max(1, count), item.amount)):
            raise Refusal(
                429,
                "key_rate",
                f"More than {rate:g} events a second came with this key.",
                retry_after_s=self._wait_s(item, "key", credential.name),
            )

    def _wait_s(self, item: RateLimitItemPerSecond, kind: str, name: str) -> float:
        reset_at = self._limiter.get_window_stats(item, kind, name).reset_time
        return min(max(reset_at - time.time(), 1.0), float(2 * _WINDOW_S))


def _per_window(per_s: float) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(max(1, math.ceil(per_s * _WINDOW_S)), _WINDOW_S)


def network_of(address: str | None) -> str:
    """What a rate is counted by: an IPv4 address, or an IPv6 /64, which one host has whole."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return _UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)


class Room:
    """Requests in work and the bytes they hold."""

    def __init__(self, *, requests: int, body_bytes: int, on_change: Callable[[int, int], None] | None = None) -> None:
        self.most_requests = requests
        self.most_bytes = body_bytes
        self.requests = 0
        self.bytes = 0
        self._on_change = on_change

    def enter(self) -> "Stay":
        """A request's stay; use it in a `with`. Raises Refusal 503 where the house is full."""
        if self.requests >= self.most_requests:
            raise overloaded("too_many_requests", "Too many requests are worked on at once.")
        return Stay(self)


class Stay:
    """What one request holds; all of it is given back at the end of the `with`."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._bytes = 0

    def __enter__(self) -> Self:
        self._room.requests += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.requests -= 1
        self._room.bytes -= self._bytes

    def take(self, size: int) -> None:
        """So many bytes more; raises Refusal 503 where all bodies together are too large."""
        if self._room.bytes + size > self._room.most_bytes:
            raise overloaded("body_memory", "Too many bytes are being received at once.")
        self._room.bytes += size
        self._bytes += size
