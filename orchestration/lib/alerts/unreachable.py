"""When ClickHouse does not answer, the log of alerts does not either: then people are told past it.

What was told is kept in the sensor's cursor, which Dagster stores itself. A tick that is killed after sending and
before its cursor is stored sends again, under the same key.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from orchestration.lib.alerts.channels import ChannelError
from orchestration.lib.alerts.notice import AlertLine, Notice
from orchestration.lib.alerts.routes import Routes
from orchestration.lib.alerts.rules import meaning, span

RULE: Final = "warehouse_unreachable"
# Shorter than that is a restart.
PATIENCE: Final = timedelta(minutes=2)


class Memory(msgspec.Struct, frozen=True):
    """The cursor. `told` are the channels that took the message that it began."""

    down_since: datetime | None = None
    told: tuple[str, ...] = ()


def remember(cursor: str | None) -> Memory:
    """The memory in a cursor; an empty one where it holds none."""
    try:
        return msgspec.json.decode(cursor or "{}", type=Memory)
    except msgspec.DecodeError:
        return Memory()


def cursor_of(memory: Memory) -> str:
    """What `remember` reads."""
    return msgspec.json.encode(memory).decode()


def after_tick(
    memory: Memory, now: datetime, problem: str, routes: Routes, send: Callable[[str, Notice, str], None]
) -> tuple[Memory, str]:
    """The next memory, and what was done, in words. `problem`: why ClickHouse did not answer; empty where it did.

    `send(channel, notice, key)` raises ChannelError; who refuses is asked again at the next tick.
    """
    if not problem:
        if memory.down_since is None:
            return Memory(), ""
        told, troubles = _tell(memory.told, _notice(memory.down_since, now, "", routes), send)
        left = tuple(name for name in memory.told if name not in told)
        words = f"ClickHouse answers again after {span((now - memory.down_since).total_seconds())}; told {len(told)}"
        return Memory(memory.down_since, left) if left else Memory(), words + troubles
    since = memory.down_since or now
    if now - since < PATIENCE:
        return Memory(since, memory.told), f"{problem}; since {since:%H:%M:%S} UTC, told after {PATIENCE.seconds} s"
    owner = routes.owner(RULE)
    wanted = (*routes.channels_for(rule=RULE, workspace="", severity="page", owner=owner), *routes.fallback)
    waiting = [name for name in dict.fromkeys(wanted) if name not in memory.told]
    told, troubles = _tell(waiting, _notice(since, now, problem, routes), send)
    return Memory(
        since, (*memory.told, *told)
    ), f"{problem}; since {since:%H:%M:%S} UTC; told {len(told)} now{troubles}"


def _tell(
    names: Sequence[str], notice: Notice, send: Callable[[str, Notice, str], None]
) -> tuple[tuple[str, ...], str]:
    told, troubles = [], ""
    for name in names:
        try:
            send(name, notice, f"{notice.message_id}/{name}")
        except ChannelError as error:
            troubles += f"; {name}: {error}"
        else:
            told.append(name)
    return tuple(told), troubles


def _notice(since: datetime, now: datetime, problem: str, routes: Routes) -> Notice:
    thread, kind = f"{RULE}//{since:%Y%m%dT%H%M%S}", "firing" if problem else "resolved"
    lasted = span((now - since).total_seconds())
    runbook = f"docs/runbooks/{RULE}.md"
    line = AlertLine(
        subject="ClickHouse", now="new" if problem else "ended", severity="page",
        value=(now - since).total_seconds(), threshold=PATIENCE.total_seconds(), since=since,
        ended_at=None if problem else now, says=f"no answer for {lasted}", dedup_key=f"{RULE}//ClickHouse",
    )  # fmt: skip
    return Notice(
        message_id=f"{thread}/{kind}", thread=thread, kind=kind, severity="page", rule_id=RULE, workspace_id="",
        owner=routes.owner(RULE), at=now,
        title=f"PAGE {'' if problem else 'over: '}{RULE}: ClickHouse, no answer for {lasted}",
        what=meaning(RULE).what, alerts=[line], more=0, how_bad=[problem] if problem else [],
        hurts=["everybody: nothing is judged while it lasts"], contributors=[], complete_to=None, remarks=[],
        query="meterhouse doctor", query_url="", runbook=runbook,
        runbook_url=f"{routes.links.docs}{runbook}" if routes.links.docs else "",
    )  # fmt: skip
