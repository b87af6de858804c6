"""Killed with SIGKILL at every point between reading, deciding, sending and recording: nothing is lost, nothing is said
twice for one state.

The receiver is an HTTP server that remembers idempotency keys, as PagerDuty and mail systems do with theirs.
"""

import json
import multiprocessing
import os
import signal as signals
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest

from ingest.settings import Settings
from ingest.warehouse import connect
from orchestration.lib.alerts.channels.webhook import Webhook
from orchestration.lib.alerts.engine import evaluate
from orchestration.lib.alerts.routes import parse
from tests.orchestration.alerts_support import House, Receiver, minutes, own_house, receiving, signal
from tests.support.shared import Engine

ROUTES: Final = """
version: 1
deliver_in: []
channels: {hook: {kind: webhook, url: "http://127.0.0.1:1/", secret_env: NONE}}
routes: [{to: hook}]
fallback: hook
timing: {page: {remind_after: 1h, update_after: 5m, resolve_after: 5m, worse_at: 2}}
"""
POINTS: Final = ("read", "message written", "step written", "claimed", "sent", "recorded")
# One life: it fires, worsens, is remembered, goes quiet, ends. At which minute, and its value then; None: it is gone.
STORY: Final = ((0, 20.0), (10, 50.0), (71, 50.0), (73, None), (79, None))
TOLD: Final = ["firing", "worsened", "reminder", "resolved"]
SPAWN: Final = multiprocessing.get_context("forkserver")


def tick(settings: Settings, url: str, at_minute: float, kill_at: str) -> None:
    """One tick in a process of its own, which kills itself at the point."""

    def at(point: str) -> None:
        if point == kill_at:
            os.kill(os.getpid(), signals.SIGKILL)

    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    hook = Webhook(url, "secret", 5)
    evaluate(client, settings, minutes(at_minute), {"*": hook}, routes=parse(ROUTES, "test.yaml"), at=at)


def run(settings: Settings, receiver: Receiver, at_minute: float, kill_at: str) -> bool:
    """Whether the tick came to its end."""
    process = SPAWN.Process(target=tick, args=(settings, receiver.url, at_minute, kill_at))
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signals.SIGKILL), process.exitcode
    return process.exitcode == 0


@pytest.fixture(scope="module")
def house(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    SPAWN.set_forkserver_preload(["tests.orchestration.test_alerts_kill"])
    with own_house(engine, tmp_path_factory.mktemp("killed")) as house:
        yield house


@pytest.mark.parametrize("point", POINTS)
def test_a_daemon_that_dies_at_each_tick_at_the_same_point_tells_every_state_once(house: House, point: str) -> None:
    house.forget()
    deaths = 0
    with receiving() as receiver:
        for at_minute, value in STORY:
            alerts = [signal(value=value, until=minutes(at_minute))] if value else []
            house.shows(*alerts, complete_to=minutes(at_minute))
            deaths += not run(house.settings, receiver, at_minute, point)
            # Started again at once, and once more when the lease of what it had begun is over.
            assert run(house.settings, receiver, at_minute, "")
            if point in ("claimed", "sent"):
                assert run(house.settings, receiver, at_minute + 1, "")
        posted = [json.loads(request.body) for request in receiver.requests]
    assert deaths >= len(TOLD), f"{point} was not reached"
    first_of_key = {post["key"]: post for post in reversed(posted)}
    told = sorted(first_of_key.values(), key=lambda post: str(post["notice"]["at"]))
    assert [post["notice"]["kind"] for post in told] == TOLD
    assert len({post["notice"]["thread"] for post in told}) == 1
    again = [key for key, count in Counter(post["key"] for post in posted).items() if count > 1]
    # Only a death between sending and recording can send again: under the same key, and saying so.
    assert len(again) == (len(TOLD) if point == "sent" else 0)
    assert all(post["may_be_second"] for post in posted if post is not first_of_key[post["key"]])


def test_two_daemons_at_once_say_everything_once(house: House) -> None:
    house.forget()
    with receiving() as receiver:
        for at_minute, value in STORY:
            alerts = [signal(value=value, until=minutes(at_minute))] if value else []
            house.shows(*alerts, complete_to=minutes(at_minute))
            pair = [SPAWN.Process(target=tick, args=(house.settings, receiver.url, at_minute, "")) for _ in range(2)]
            for process in pair:
                process.start()
            for process in pair:
                process.join(60)
                assert process.exitcode == 0
            run(house.settings, receiver, at_minute + 0.5, "")
        kinds = [json.loads(request.body)["notice"]["kind"] for request in receiver.requests]
    assert kinds == TOLD
