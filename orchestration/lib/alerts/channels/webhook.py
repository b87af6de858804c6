"""A signed HTTP POST to any receiver: the whole Notice as JSON.

Idempotency-Key: <key>                      the same for every attempt: a receiver that remembers it takes it once
X-Meterhouse-Thread: <thread>               the same from an alert's start to its end
X-Meterhouse-Signature: t=<epoch s>,v1=<hex of HMAC-SHA256(secret, "<t>." + body)>
"""

import hashlib
import hmac
import json
import time

from orchestration.lib.alerts.channels.base import post
from orchestration.lib.alerts.notice import Notice, encode


class Webhook:
    """One receiver with a shared secret."""

    def __init__(self, url: str, secret: str, timeout_s: float) -> None:
        self._url = url
        self._secret = secret.encode()
        self._timeout_s = timeout_s

    def send(self, notice: Notice, key: str, *, may_be_second: bool) -> None:
        payload = {"key": key, "may_be_second": may_be_second, "notice": json.loads(encode(notice))}
        body = json.dumps(payload, separators=(",", ":")).encode()
        at = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": key,
            "X-Meterhouse-Thread": notice.thread.encode("ascii", "backslashreplace").decode(),
            "X-Meterhouse-Signature": f"t={at},v1={sign(self._secret, at, body)}",
        }
        post(self._url, body, headers, self._timeout_s)


def sign(secret: bytes, at: int, body: bytes) -> str:
    """Hex of the signature of a body sent at epoch second `at`."""
    return hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
