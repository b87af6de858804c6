"""The truth of a round and what was found, as plain values, and the comparison of the two.

`Sent` is what the topics hold, read back from the broker. `Found` is what the tables hold, counted physically: nothing
a merge could hide. `compare` says what is lost, doubled or wrong; an empty list of complaints is the only pass.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

Where = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True)
class Sent:
    """What the broker holds: event ids of the valid messages and the places of the malformed ones.

    `acknowledged` are the markers (event ids, names of malformed ones) whose delivery the broker reported.
    """

    valid: Mapping[Where, str]
    malformed: Mapping[Where, str]
    acknowledged: frozenset[str]


@dataclass(frozen=True, slots=True)
class Batch:
    """A row of ops.load_batches, of one incarnation of a partition."""

    topic: str
    partition: int
    first: int
    last: int
    messages: int
    landed: int
    rejected: int
    lost: int


@dataclass(frozen=True)
class Found:
    """What the tables hold. `rows` and `dead` count physical rows; `merged_parts` must be zero for that to be true."""

    rows: Mapping[tuple[Where, str], int]
    dead: Mapping[Where, int]
    batches: list[Batch]
    claims: Mapping[Where, int] = field(default_factory=dict)
    merged_parts: int = 0


@dataclass(frozen=True)
class Verdict:
    """The counts of a round and every difference, as sentences."""

    produced: int
    landed: int
    rejected: int
    lost: int
    doubled: int
    complaints: list[str]


def compare(sent: Sent, found: Found) -> Verdict:
    """Every valid message is one row, every malformed one a dead letter, and the ledger says the same."""
    complaints: list[str] = []
    lost, doubled = 0, 0
    rows_at: Counter[Where] = Counter()
    for (where, event_id), count in found.rows.items():
        rows_at[where] += count
        if sent.valid.get(where) != event_id:
            complaints.append(f"row {_at(where)} has event_id {event_id}, expected {sent.valid.get(where)}")
    for wanted, there, what in ((sent.valid, rows_at, "row"), (sent.malformed, found.dead, "dead letter")):
        missing = [where for where in wanted if not there.get(where)]
        twice = [where for where, count in there.items() if count > 1]
        strange = [where for where in there if where not in wanted]
        lost += len(missing)
        doubled += sum(there[where] - 1 for where in twice)
        complaints += _listed(missing, f"no {what} for")
        complaints += _listed(twice, f"more than one {what} for")
        complaints += _listed(strange, f"a {what} nobody sent at")
    held = set(sent.valid.values()) | set(sent.malformed.values())
    if gone := sent.acknowledged - held:
        complaints.append(f"the broker lost {len(gone)} messages it had acknowledged, such as {sorted(gone)[:3]}")
    complaints += _ledger(sent, found.batches)
    complaints += _listed([where for where, count in found.claims.items() if count > 1], "more than one claim of")
    if found.merged_parts:
        complaints.append(
            f"{found.merged_parts} parts were merged: a doubled row may be hidden, so this proves nothing"
        )
    return Verdict(
        produced=len(sent.valid) + len(sent.malformed),
        landed=sum(rows_at.values()),
        rejected=sum(found.dead.values()),
        lost=lost,
        doubled=doubled,
        complaints=complaints,
    )


def _ledger(sent: Sent, batches: list[Batch]) -> list[str]:
    """The batches of a partition follow one another from its first offset to its last, and their sums are right."""
    complaints = []
    ends: dict[tuple[str, int], int] = {}
    for topic, partition, offset in [*sent.valid, *sent.malformed]:
        ends[topic, partition] = max(ends.get((topic, partition), 0), offset + 1)
    for (topic, partition), end in sorted(ends.items()):
        position = 0
        mine = [one for one in batches if (one.topic, one.partition) == (topic, partition)]
        for one in sorted(mine, key=lambda batch: (batch.first, batch.last)):
            if one.first != position:
                how = "overlaps the one before" if one.first < position else "leaves a hole before it"
                complaints.append(f"ledger {topic}[{partition}]: run {one.first}-{one.last} {how}, expected {position}")
            if one.messages != one.landed + one.rejected:
                complaints.append(
                    f"ledger {topic}[{partition}]: run {one.first}-{one.last} has {one.messages} messages, "
                    f"{one.landed} landed and {one.rejected} rejected"
                )
            if one.lost:
                complaints.append(f"ledger {topic}[{partition}]: run {one.first}-{one.last} says {one.lost} lost")
            position = max(position, one.last + 1)
        if position < end:
            complaints.append(f"ledger {topic}[{partition}]: ends at {position}, the broker at {end}")
    for name, counted, expected in (
        ("landed", sum(one.landed for one in batches), len(sent.valid)),
        ("rejected", sum(one.rejected for one in batches), len(sent.malformed)),
    ):
        if counted != expected:
            complaints.append(f"ledger: {counted} {name}, expected {expected}")
    return complaints


def _at(where: Where) -> str:
    return f"{where[0]}[{where[1]}]@{where[2]}"


def _listed(places: list[Where], words: str) -> list[str]:
    if not places:
        return []
    shown = ", ".join(_at(where) for where in sorted(places)[:5])
    return [f"{words} {shown}" + (f" and {len(places) - 5} more" if len(places) > 5 else "")]
