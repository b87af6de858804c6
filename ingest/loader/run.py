"""What the loader's stages hand to each other: sources, runs, claims, messages, and the four outcomes of a stage.

Plain frozen data. Offsets are Kafka's, times are epoch milliseconds, sizes are bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One incarnation of one partition: a topic made anew has another topic_id, so its offsets are other offsets."""

    topic: str
    topic_id: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Run:
    """The offsets first..last of a source, both inclusive: the unit of claim, insert, token and ledger."""

    source: Source
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.source} offsets {self.first}-{self.last}"

    def token(self, step: str) -> str:
        """The deduplication token of one step of this run."""
        return f"{step}:{self.source.topic_id}:{self.source.partition}:{self.first}-{self.last}"

    @property
    def claim_token(self) -> str:
        """Holds only the first offset: whoever claims it first decides where the run ends."""
        return f"claim:{self.source.topic_id}:{self.source.partition}:{self.first}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A run whose bounds are decided for everybody, and the time its events are judged at."""

    run: Run
    judged_at_ms: int
    owner: str


Headers = Sequence[tuple[str, str | bytes | None]]
"""Of one message, as the client gives them."""


@dataclass(slots=True)
class Messages:
    """Messages of one source in order of offset, as parallel lists. `headers` stays empty where the stream reads none:
    to ask for them costs a message as much as all the rest of it."""

    offsets: list[int] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    appended_ms: list[int] = field(default_factory=list)
    headers: list[Headers | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offsets)

    def slice(self, start: int, stop: int | None = None) -> "Messages":
        part = slice(start, stop)
        return Messages(
            self.offsets[part], self.values[part], self.keys[part], self.appended_ms[part], self.headers[part]
        )

    def extend(self, other: "Messages") -> None:
        self.offsets += other.offsets
        self.values += other.values
        self.keys += other.keys
        self.appended_ms += other.appended_ms
        self.headers += other.headers

    @property
    def size(self) -> int:
        """Bytes of the payloads."""
        try:
            return sum(map(len, self.values))  # type: ignore[arg-type]  # a missing one raises; a third of the time
        except TypeError:
            return sum(len(value) for value in self.values if value is not None)


@dataclass(frozen=True, slots=True)
class Batch:
    """A run cut from the stream with what came in it. `claim` is set where the bounds were decided before (a redo).

    `lost` counts offsets of the run that the broker no longer had.
    """

    run: Run
    messages: Messages
    size: int
    oldest_read_s: float
    claim: Claim | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """One message that cannot land. `index` counts within the batch's messages; `reason` is one sentence.

    `payload` is what to keep of it, scrubbed already; None: the message itself, to be scrubbed. `records` are those of
    its records that cannot land, which need not be all.
    """

    index: int
    error_class: str
    field: str
    reason: str
    payload: bytes | None = None
    workspace_id: str = ""
    records: int = 1


@dataclass(frozen=True, slots=True)
class OtherRows:
    """Rows of another table than the stream's first, by its name without database; see Decoded."""

    table: str
    rows: pa.Table
    origin: "pa.Int32Array"


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoder made of a batch: `rows` (the table's columns but the loader's own) where row i came from message
    `origin[i]`, ascending; what it refused; how often it dropped or did not know a field, by name.

    A message may become many rows, and rows of `others`; `records` then says how many records were judged (None: one a
    message).
    """

    rows: pa.Table
    origin: "pa.Int32Array"
    rejected: Sequence[Rejected]
    dropped_fields: Mapping[str, int]
    min_occurred_ms: int | None = None
    max_occurred_ms: int | None = None
    others: Sequence[OtherRows] = ()
    records: int | None = None

    @property
    def row_count(self) -> int:
        """Rows of all tables."""
        return int(self.rows.num_rows) + sum(int(one.rows.num_rows) for one in self.others)


class Decoder(Protocol):
    """Turns messages into columns. Never raises for any bytes: what it cannot read, it refuses."""

    def decode(
        self, values: Sequence[bytes | None], judged_at_ms: int, headers: Sequence[Headers | None] = ()
    ) -> Decoded: ...


@dataclass(frozen=True, slots=True)
class Stream:
    """A topic, where what it refuses goes, the table it lands in and how to read it.

    `time_column` decides the month of a row. `has_headers`: the decoder reads them. `salvage` makes of a message that
    the engine refuses what may be kept of it (None: its text is scrubbed).
    """

    name: str
    topic: str
    dead_letter_topic: str
    table: str
    decoder: Decoder
    time_column: str = "occurred_at"
    has_headers: bool = False
    salvage: Callable[[bytes, Headers | None], bytes] | None = None

    def beside(self, table: str) -> "Stream":
        """The same for another table of the same database."""
        database = self.table.rpartition(".")[0]
        return replace(self, table=f"{database}.{table}")


@dataclass(frozen=True, slots=True)
class Landed:
    """A run that is in, for good."""

    run: Run
    messages: int
    landed: int
    rejected: int
    lost: int
    size: int
    max_appended_ms: int | None
    max_occurred_ms: int | None
    min_occurred_ms: int | None


@dataclass(frozen=True, slots=True)
class Fenced:
    """Somebody else decided about this source: take it up again from the ledger."""

    source: Source
    winner: Claim


@dataclass(frozen=True, slots=True)
class Failed:
    """The run could not be finished; the loader stops. Its claim stays, so the next start redoes it."""

    run: Run
    error: Exception


Outcome = Landed | Fenced | Failed
