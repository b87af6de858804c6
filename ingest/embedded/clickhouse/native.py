"""The Native format of a protocol revision, made from the one the engine writes (revision 0).

A client that sends `client_protocol_version` (clickhouse-go, clickhouse-connect) reads blocks of that revision: each
with a BlockInfo before it, from 54454 on a byte "no custom serialization" after each column's type, and time zones in
`DateTime('…')`, which revision 0 leaves out. The engine inside a process knows no client and writes revision 0, so its
stream is walked, type by type, and the bytes are put in. Values are passed, not read; only lengths are.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.embedded.clickhouse.native_types import DYNAMIC, STRING, DataType, parse_type

_WITH_TIME_ZONES = 54337
_WITH_CUSTOM_SERIALIZATION = 54454
# Field 1, overflows: no; field 2, bucket: -1; end.
_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_LONG_BYTES = 1 << 20

Walk = Generator[None, None, None]


class NativeRevision:
    """A Deflater-like stage: `compress` takes the engine's stream in any pieces and gives the client's.

    `describe` is asked, once and only when a bare DateTime comes, for the full types of the columns by name.
    """

    def __init__(self, revision: int, describe: Callable[[], Mapping[str, str]]) -> None:
        self._revision, self._describe = revision, describe
        self._described: Mapping[str, str] | None = None
        self._types: dict[str, DataType] = {}
        self._held = bytearray()
        self._at = 0
        self._out: list[bytes] = []
        self._walk = self._blocks()

    def compress(self, data: bytes) -> bytes:
        self._held += data
        next(self._walk)
        del self._held[: self._at]
        self._at = 0
        out, self._out = b"".join(self._out), []
        return out

    def flush(self) -> bytes:
        """The rest; of a stream cut short by an exception what there is."""
        rest, self._held = bytes(self._held), bytearray()
        return rest

    # The walk: a generator that yields when it needs more bytes than are here.

    def _blocks(self) -> Walk:
        while True:
            while self._at >= len(self._held):
                yield
            self._out.append(_BLOCK_INFO)
            columns = yield from self._number()
            rows = yield from self._number()
            for _ in range(columns):
                yield from self._column(rows)

    def _column(self, rows: int) -> Walk:
        name = yield from self._name()
        type_size = yield from self._number(is_kept_back=True)
        type_name = (yield from self._read(type_size)).decode()
        shown = self._shown(name, type_name).encode()
        self._out.append(_number(len(shown)) + shown)
        if self._revision >= _WITH_CUSTOM_SERIALIZATION:
            self._out.append(b"\x00")
        if rows:
            kind = self._types.get(type_name)
            if kind is None:
                kind = self._types[type_name] = parse_type(type_name)
            yield from self._values(kind, rows, (yield from self._prefix(kind)))

    def _shown(self, name: str, type_name: str) -> str:
        if type_name != "DateTime" or self._revision < _WITH_TIME_ZONES:
            return type_name
        if self._described is None:
            self._described = self._describe()
        found = self._described.get(name, "")
        return found if found.startswith("DateTime(") else type_name

    def _read(self, size: int) -> Generator[None, None, bytes]:
        """So many bytes, kept back."""
        while len(self._held) - self._at < size:
            yield
        data = bytes(self._held[self._at : self._at + size])
        self._at += size
        return data

    def _take(self, size: int) -> Generator[None, None, bytes]:
        """So many bytes, handed on and looked at."""
        data = yield from self._read(size)
        self._out.append(data)
        return data

    def _pass(self, size: int) -> Walk:
        """Hands on so many bytes, as they come."""
        while size:
            while self._at >= len(self._held):
                yield
            end = min(self._at + size, len(self._held))
            self._out.append(bytes(self._held[self._at : end]))
            size -= end - self._at
            self._at = end

    def _number(self, *, is_kept_back: bool = False) -> Generator[None, None, int]:
        """A varint."""
        value = shift = 0
        while True:
            byte = (yield from (self._read(1) if is_kept_back else self._take(1)))[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _fixed(self) -> Generator[None, None, int]:
        return int.from_bytes((yield from self._take(8)), "little")

    def _name(self) -> Generator[None, None, str]:
        return (yield from self._take((yield from self._number()))).decode("utf-8", "surrogateescape")

    def _strings(self, count: int) -> Walk:
        """Strings, by their lengths only: here goes the time of a big result."""
        held = self._held
        while count:
            start, end = self._at, len(held)
            at, count = _behind_texts(held, start, end, count)
            if at > start:
                self._out.append(bytes(memoryview(held)[start:at]))
                self._at = at
            elif end - at > _LONG_BYTES:
                # One long value: as it comes, not when it is whole.
                yield from self._pass((yield from self._number()))
                count -= 1
            else:
                seen = end - at
                while len(held) - self._at <= seen:
                    yield

    def _prefixes(self, kinds: tuple[DataType, ...]) -> Generator[None, None, "_State"]:
        states = []
        for kind in kinds:
            states.append((yield from self._prefix(kind)))  # noqa: PERF401  # a comprehension cannot yield
        return _State(tuple(states))

    def _prefix(self, kind: DataType) -> Generator[None, None, "_State"]:
        """What stands before a column's values, and says how they are laid out."""
        if kind.family == "LowCardinality":
            yield from self._take(8)
            return _State()
        if kind.family == "Variant" and (yield from self._fixed()) != 0:
            raise _unknown("Variant", "compact discriminators")
        if kind.family == "Dynamic":
            return (yield from self._dynamic_prefix())
        if kind.family == "JSON":
            return (yield from self._json_prefix(kind))
        return (yield from self._prefixes(kind.parts))

    def _dynamic_prefix(self) -> Generator[None, None, "_State"]:
        version = yield from self._fixed()
        if version not in (1, 2, 3):
            raise _unknown("Dynamic", f"serialization {version}")
        if version == 1:
            yield from self._number()
        names = []
        for _ in range((yield from self._number())):
            names.append((yield from self._name()))  # noqa: PERF401  # a comprehension cannot yield
        if version == 3:
            inner = DataType("Flat", tuple(parse_type(name) for name in names))
        else:
            # Values whose type has no variant of its own are in one more, which sorts among the others by its name.
            inner = DataType("Variant", tuple(parse_type(name) for name in sorted([*names, "SharedVariant"])))
        return _State(((yield from self._prefix(inner)),), inner)

    def _json_prefix(self, kind: DataType) -> Generator[None, None, "_State"]:
        version = yield from self._fixed()
        if version == 1:
            return _State((_State(),), STRING)
        if version not in (0, 2, 3):
            raise _unknown("JSON", f"serialization {version}")
        if version == 0:
            yield from self._number()
        paths = yield from self._number()
        for _ in range(paths):
            yield from self._name()
        members = DataType("Tuple", (*kind.parts, *[DYNAMIC] * paths))
        states = yield from self._prefixes(members.parts)
        if version == 3:
            return _State((states,), members)
        # Paths beyond the limit, each with its value in binary.
        shared = DataType("Array", (DataType("Tuple", (STRING, STRING)),))
        shared_state = _State((_State((_State(), _State())),))
        return _State((_State((states, shared_state)),), DataType("Tuple", (members, shared)))

    def _values(self, kind: DataType, rows: int, state: "_State") -> Walk:
        if not rows:
            return
        if kind.family == "Fixed":
            yield from self._pass(rows * kind.size)
        elif kind.family == "String":
            yield from self._strings(rows)
        elif kind.family == "Array":
            yield from self._pass(8 * (rows - 1))
            yield from self._values(kind.parts[0], (yield from self._fixed()), state.parts[0])
        elif kind.family == "LowCardinality":
            yield from self._low_cardinality(kind.parts[0])
        elif state.inner is not None:
            yield from self._values(state.inner, rows, state.parts[0])
        else:
            yield from self._several(kind, rows, state)

    def _several(self, kind: DataType, rows: int, state: "_State") -> Walk:
        """Types whose parts stand one after the other; a variant's rows are those its discriminators name."""
        counts: Mapping[int, int] | None = None
        if kind.family in ("Variant", "Flat"):
            # A flat Dynamic has as wide an index as its types need, NULL being one more; a Variant has 255 at most.
            width = 1 if len(kind.parts) < 256 else 2 if len(kind.parts) < 65536 else 4
            counts = _counted((yield from self._take(rows * width)), width)
        elif kind.family == "Nullable" or not kind.parts:
            yield from self._pass(rows)
        for number, (part, part_state) in enumerate(zip(kind.parts, state.parts, strict=True)):
            yield from self._values(part, rows if counts is None else counts.get(number, 0), part_state)

    def _low_cardinality(self, kind: DataType) -> Walk:
        flags = yield from self._fixed()
        if flags & 0x100 or not flags & 0x200:
            raise _unknown("LowCardinality", f"index flags {flags:#x}")
        yield from self._values(kind, (yield from self._fixed()), _State())
        yield from self._pass((yield from self._fixed()) << (flags & 0xFF))


@dataclass(frozen=True)
class _State:
    """What a column's prefix told: of its parts, and for Dynamic and JSON the layout its values have."""

    parts: tuple["_State", ...] = ()
    inner: DataType | None = None


def _unknown(family: str, how: str) -> ClickHouseError:
    message = f"A {family} column with {how} cannot be sent in the Native format of a protocol revision here"
    return ClickHouseError(48, "NOT_IMPLEMENTED", message)


def _counted(indexes: bytes, width: int) -> Mapping[int, int]:
    """How often each index occurs."""
    return Counter(indexes if width == 1 else memoryview(indexes).cast("H" if width == 2 else "I"))


def _number(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _behind_texts(held: bytearray, at: int, end: int, count: int) -> tuple[int, int]:
    """Behind the last whole one of so many texts from `at` on, and how many are left."""
    # A short text that begins before it ends before `end`: nothing to compare for most values.
    safe = end - 0x80
    while count:
        for count in range(count, 0, -1):  # noqa: B007, B020  # what is left when the loop stops
            size = held[at] if at < safe else 0x80
            if size >= 0x80:
                break
            at += size + 1
        else:
            return at, 0
        next_at = _end_of_text(held, at, end)
        if next_at > end:
            return at, count
        at = next_at
        count -= 1
    return at, 0


def _end_of_text(held: bytearray, at: int, end: int) -> int:
    """Where the text with a length of several bytes ends; beyond `end` when its length is not all there."""
    value = shift = 0
    while at < end:
        byte = held[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return at + value
        shift += 7
    return end + 1
