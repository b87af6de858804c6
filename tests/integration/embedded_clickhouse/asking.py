"""One question to an engine over plain HTTP."""

import time
import urllib.request
from collections.abc import Callable
from urllib.parse import urlencode

from tests.support.shared import Engine


def ask(engine: Engine, sql: str, **parameters: str) -> str:
    """The answer's body; urllib's HTTPError for an exception."""
    url = f"{engine.url.replace('default@', '')}/?{urlencode(parameters)}"
    with urllib.request.urlopen(urllib.request.Request(url, data=sql.encode()), timeout=60) as answer:  # noqa: S310
        return str(answer.read().decode())


def until(holds: Callable[[], bool], within_s: float = 30) -> None:
    """Waits until it holds; fails when it does not."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"did not come true in {within_s} s"
        time.sleep(0.05)
