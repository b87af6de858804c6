"""Sends the events of a file through the front: .ndjson or .jsonl, plain or .zst, or .parquet.

In: a file. Out: a Tally. The file is streamed, so memory does not depend on its size. Lines that are no event of the
contract are counted by class and not sent, with the first few shown: a file of something else must not flood the dead
letters. What only the loader can judge (the time window, sums of tokens) it judges as always.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec
import zstandard
from rich.console import Console

from ingest.contracts.agent_event import DECODER
from ingest.contracts.check import judge
from ingest.contracts.outcome import EventLimits, Refused
from ingest.errors import MeterhouseError, SettingsError
from ingest.loader.clock import SYSTEM_CLOCK
from ingest.loader.replay import Front, Tally, loaded_topic, progress_bar
from ingest.loader.replay_parquet import parquet_events
from ingest.settings import Settings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SUFFIXES: Final = (".ndjson", ".jsonl", ".ndjson.zst", ".jsonl.zst", ".parquet")
_ANY_TIME_MS: Final = 10**14


@dataclass(frozen=True)
class FileEvent:
    """One event of a file. `number` is its line or row from 1; `done` and the file's `total` are in one unit."""

    number: int
    value: bytes
    done: int


class FileReplay:
    """One replay of a file."""

    def __init__(self, settings: Settings, path: Path, topic: str | None) -> None:
        self._settings, self._path, self._topic = settings, path, topic
        self._limits = EventLimits(
            max_age_ms=_ANY_TIME_MS, max_future_ms=_ANY_TIME_MS, max_event_bytes=settings.event_max_bytes
        )

    def run(self, console: Console, *, dry_run: bool = False) -> Tally:
        """Sends them, or only counts them. Raises MeterhouseError; what was sent before stays sent, and lands once."""
        tally = Tally()
        total, events = open_events(self._path, self._settings.event_max_bytes)
        topic = loaded_topic(self._settings, self._topic)
        with ExitStack() as stack:
            bar = stack.enter_context(progress_bar(console, f"replaying {self._path.name}"))
            task = bar.add_task("", total=max(total, 1), note="")
            front = None if dry_run else stack.enter_context(Front(self._settings, "file"))
            for event in events:
                tally.found += 1
                key = self._key_of(event, tally)
                if key is not None:
                    if front is not None:
                        front.send(topic, event.value, key, self._headers(event))
                    tally.sent += 1
                if tally.found % 1_000 == 0:
                    bar.update(task, completed=event.done, note=f"{tally.sent:,}")
        return tally

    def _key_of(self, event: FileEvent, tally: Tally) -> bytes | None:
        """The message's key, its workspace; None where this is no event, which is counted."""
        try:
            workspace = DECODER.decode(event.value).workspace_id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            verdict = judge(event.value, judged_at_ms=SYSTEM_CLOCK.now_ms(), limits=self._limits)
            if isinstance(verdict, Refused):
                tally.refuse(verdict.error_class, f"{self._path.name}:{event.number}", verdict.reason)
                return None
            workspace = verdict.event.workspace_id
        if len(event.value) > self._limits.max_event_bytes:
            expected = f"expected at most {self._limits.max_event_bytes} bytes"
            tally.refuse("too_large", f"{self._path.name}:{event.number}", f"message: {expected}.")
            return None
        return workspace.encode()

    def _headers(self, event: FileEvent) -> tuple[tuple[str, bytes], ...]:
        return (
            ("meterhouse-file", self._path.name.encode("utf-8", errors="replace")),
            ("meterhouse-line", str(event.number).encode()),
        )


def open_events(path: Path, most_bytes: int) -> tuple[int, Iterator[FileEvent]]:
    """How much there is, and the events one by one. Raises SettingsError for a file that cannot be one of ours."""
    if not path.name.lower().endswith(_SUFFIXES):
        raise SettingsError(f"FILE expects a name that ends in one of {', '.join(_SUFFIXES)}, came {path.name}.")
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise SettingsError(f"FILE expects a file, {path} is none.")
        with path.open("rb"):
            pass
    except OSError as error:
        raise SettingsError(f"FILE cannot be read: {path}: {error.strerror or error}.") from None
    if path.suffix.lower() == ".parquet":
        rows, values = parquet_events(path)
        return rows, (FileEvent(number, value, number) for number, value in enumerate(values, 1))
    return size, _lines(path, most_bytes)


def _lines(path: Path, most_bytes: int) -> Iterator[FileEvent]:
    """Lines without their end; empty ones are none. Of a line above the limit only so much that it shows is read."""
    number = 0
    try:
        with path.open("rb") as raw, _plain(path, raw) as opened:
            while line := opened.readline(most_bytes + 2):
                number += 1
                value = line.rstrip(b"\r\n")
                if len(value) > most_bytes:
                    _skip_rest(opened.readline, line)
                    value = value[: most_bytes + 1]
                if value.strip():
                    yield FileEvent(number, value, raw.tell())
    except (OSError, zstandard.ZstdError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise MeterhouseError(
            f"{path} broke off after line {number} ({words}): mend the file and run this again; what was sent before "
            "lands once."
        ) from error


def _skip_rest(readline: Callable[[int], bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = readline(1 << 20)


def _plain(path: Path, raw: BinaryIO) -> AbstractContextManager[BinaryIO | io.BufferedReader]:
    if path.suffix.lower() != ".zst":
        return nullcontext(raw)
    return io.BufferedReader(_Unpacked(raw), 1 << 20)


class _Unpacked(io.RawIOBase):
    """What zstd frames hold, one after the other; a last frame that is cut off is an error, not a quiet end."""

    # A little at a time: hostile zstd unpacks to some 30,000 times its size.
    _STEP_BYTES: Final = 4_096

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        # A frame may ask for a window of gigabytes; 128 MiB is what zstd itself allows without a flag.
        self._zstd = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._waiting = b""
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        while not self._unpacked:
            packed = self._waiting or self._packed.read(self._STEP_BYTES)
            self._waiting = b""
            if not packed:
                if self._frame is not None:
                    raise zstandard.ZstdError("the zstd stream is cut off")
                return 0
            if self._frame is None:
                self._frame = self._zstd.decompressobj()
            self._unpacked = memoryview(self._frame.decompress(packed))
            if self._frame.eof:
                self._waiting, self._frame = self._frame.unused_data, None
        count = min(len(view), len(self._unpacked))
        view[:count] = self._unpacked[:count]
        self._unpacked = self._unpacked[count:]
        return count
