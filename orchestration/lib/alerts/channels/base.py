"""What every channel keeps to, and HTTP as those that speak it do: one request, bounded, no redirect followed."""

import urllib.request
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from ingest.warehouse import is_loopback
from orchestration.lib.alerts.notice import Notice

_MOST_ANSWER_BYTES: Final = 4096
# Told to come again: later, or too many. All other 4xx say that the same request will never do.
_COME_AGAIN: Final = frozenset({408, 409, 423, 425, 429})


class ChannelError(Exception):
    """A message was not taken. `is_final`: the same again will not be either, until somebody changes something.

    `is_unknown`: it may have been taken all the same, since no answer came. `retry_after_s`: what the receiver asked
    for. The words hold no secret: no address, no answer's body.
    """

    def __init__(
        self, reason: str, *, is_final: bool = False, is_unknown: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.is_final = is_final
        self.is_unknown = is_unknown
        self.retry_after_s = retry_after_s


class Channel(Protocol):
    """One receiver."""

    def send(self, notice: Notice, key: str, *, may_be_second: bool) -> None:
        """Delivers. `key` is the same for every attempt at this message on this channel; `may_be_second`: an attempt
        before this one was begun and nobody knows how it ended. Raises ChannelError."""


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> None:
    """POSTs and waits for a 2xx. Raises ChannelError; proxies as the environment says, never for loopback."""
    host = urlsplit(url).hostname or ""
    proxy = None if is_loopback(host) or urllib.request.proxy_bypass(host) else _proxy(urlsplit(url).scheme)
    pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
    try:
        answer = pool.request(
            "POST", url, body=body, headers={"User-Agent": "meterhouse", **headers}, redirect=False, retries=False,
            timeout=urllib3.Timeout(total=timeout_s), preload_content=False,
        )  # fmt: skip
        answer.read(_MOST_ANSWER_BYTES)
        answer.release_conn()
    except (HTTPError, OSError, ValueError) as error:
        never_left = isinstance(error, NewConnectionError | ConnectTimeoutError | ValueError)
        raise ChannelError(f"no answer ({type(error).__name__})", is_unknown=not never_left) from error
    finally:
        pool.clear()
    if 200 <= answer.status < 300:
        return
    is_final = 300 <= answer.status < 500 and answer.status not in _COME_AGAIN
    raise ChannelError(
        f"HTTP {answer.status}", is_final=is_final, retry_after_s=_seconds(answer.headers.get("Retry-After"))
    )


def _proxy(scheme: str) -> str | None:
    return urllib.request.getproxies().get(scheme)


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
