"""Somebody takes an alert: a step of its group like any other, so that it and a sensor's tick never undo each other."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from ingest.errors import MeterhouseError
from orchestration.lib.alerts.machine import acknowledge
from orchestration.lib.alerts.model import Group
from orchestration.lib.alerts.reports import open_groups
from orchestration.lib.alerts.store import Store

# A tick may record a step between our look and ours: then we look again.
_TRIES = 5


def acknowledge_groups(
    store: Store, now: datetime, rule: str, workspace: str | None, subjects: Iterable[str] | None, who: str, note: str
) -> Iterator[str]:
    """Acknowledges what fires of a rule, a sentence a group. Raises MeterhouseError where nothing does."""
    groups = open_groups(store, rule, workspace)
    if not groups:
        where = f" in {workspace}" if workspace else ""
        raise MeterhouseError(f"No alert of {rule} is open{where}. `meterhouse alerts current` shows what is.")
    for group in groups:
        yield _acknowledge(store, now, group, list(subjects or ()), who, note)


def _acknowledge(store: Store, now: datetime, group: Group, subjects: list[str], who: str, note: str) -> str:
    for _ in range(_TRIES):
        keys = [life.key for life in group.lives if life.signal.subject in subjects] if subjects else None
        step = acknowledge(group, who, note, keys)
        if step is None:
            return f"{group.name}: nothing fires that is not acknowledged"
        if store.write(step, now, None):
            taken = [life.signal.subject for life in step.group.lives if life.change == "acknowledged"]
            return f"{group.name}: acknowledged {', '.join(taken)}"
        found = open_groups(store, group.rule_id, group.workspace_id)
        if not found:
            return f"{group.name}: over by now"
        group = found[0]
    raise MeterhouseError(f"{group.name} changes faster than it can be acknowledged: try again.")
