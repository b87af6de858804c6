"""Columns of attributes: names and texts as Map(String, String), without what must not land.

In: lists of KeyValue as otlp_wire gives them. Out: Arrow maps, and the values of a few names for whoever asks. A name
is judged once for all its occurrences, and a text is looked at closely only where a byte of it is suspicious, so that
privacy costs a batch about what copying it does. `counts` takes what was dropped, by rule, never by the producer's
names.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts.denial import DROPPED, NAMING_KEYS, denied, mask_emails
from ingest.contracts.otlp_privacy import ACTOR_ATTRIBUTE, PROMPT_ATTRIBUTE
from ingest.contracts.privacy import scrub_value
from ingest.loader.otlp_columns import Index, Mask, offsets_of, text_bytes
from ingest.loader.otlp_values import nested_text, number_text
from ingest.loader.otlp_wire import OtlpBytesError, nested

Counts = dict[str, int]
_KEEP, _ONLY_MEASURES, _DROP = 0, 1, 2
_UNREADABLE: Final = "unreadable_value"
_LONGEST_REMEMBERED: Final = 512
# What the front door's names look like, and those of a Collector that hashes: anything else under these names is an
# identifier that somebody passed on as it was.
_HASHED: Final = (ACTOR_ATTRIBUTE, PROMPT_ATTRIBUTE)
_LIKE_A_HASH: Final = r"^([A-Za-z0-9]{1,16}:)?[0-9a-f]{32,128}$"
_UNHASHED: Final = "unhashed"


class Attributes:
    """The attributes of many records, resources or scopes."""

    def __init__(self, per_record: pa.Array, counts: Counts) -> None:
        items = per_record.flatten()
        self._names: pa.DictionaryArray = items.field("key").dictionary_encode()
        self._codes = np.asarray(self._names.indices).astype(np.int64)
        self._dictionary: list[str] = self._names.dictionary.to_pylist()
        self._offsets = offsets_of(per_record)
        value = items.field("value")
        self._is_text: Mask = np.asarray(value.field("string_value").is_valid())
        self._is_measure = _is_measure(value)
        self._texts = texts_of(value, counts)
        self._counts = counts

    def pick(self, names: Iterable[str]) -> list[Mapping[str, str]]:
        """For each record those of `names` that it has, as text, before anything is dropped; the first of a name."""
        wanted = set(names)
        is_wanted = np.array([name in wanted for name in self._dictionary], dtype=bool)
        found: Index = np.flatnonzero(is_wanted[self._codes]) if len(self._codes) else np.zeros(0, dtype=np.int64)
        owners = np.searchsorted(self._offsets, found, side="right") - 1
        picked: list[dict[str, str]] = [{} for _ in range(len(self._offsets) - 1)]
        texts = self._texts.take(pa.array(found)).to_pylist()
        for owner, code, text in zip(owners.tolist(), self._codes[found].tolist(), texts, strict=True):
            picked[owner].setdefault(self._dictionary[code], text)
        return [dict(one) for one in picked]

    def sizes(self) -> Index:
        """Bytes of each record's names and texts."""
        names = np.array([len(name) for name in self._dictionary] or [0], dtype=np.int64)
        each = np.concatenate(
            [[0], np.cumsum(text_bytes(self._texts) + (names[self._codes] if len(self._codes) else 0))]
        )
        sizes: Index = np.diff(each[self._offsets])
        return sizes

    def maps(self) -> pa.Array:
        """One map a record: what may stay, texts without addresses and without denied parts of JSON in them."""
        offsets, names, texts, is_text = self._offsets, self._names, self._texts, self._is_text
        keep = self._kept()
        if not keep.all():
            offsets = np.concatenate([[0], np.cumsum(keep)])[offsets].astype(np.int32)
            mask = pa.array(keep)
            names, texts, is_text = names.filter(mask), texts.filter(mask), is_text[keep]
        return pa.MapArray.from_arrays(pa.array(offsets), names, cleaned(texts, self._counts, is_text))

    def _kept(self) -> Mask:
        if not len(self._codes):
            return np.ones(0, dtype=bool)
        verdicts, rules = zip(*map(_verdict, self._dictionary), strict=True)
        verdict = np.array(verdicts, dtype=np.int8)[self._codes]
        dropped = (verdict == _DROP) | ((verdict == _ONLY_MEASURES) & ~self._is_measure) | self._named()
        unhashed = self._unhashed()
        if unhashed.any():
            self._counts[_UNHASHED] = self._counts.get(_UNHASHED, 0) + int(np.count_nonzero(unhashed))
        for code, hits in zip(*np.unique(self._codes[dropped], return_counts=True), strict=True):
            self._counts[rules[code]] = self._counts.get(rules[code], 0) + int(hits)
        kept: Mask = ~(dropped | unhashed)
        return kept

    def _unhashed(self) -> Mask:
        """Names of people and prompts that are none of the front door's or a Collector's making."""
        unhashed: Mask = np.zeros(len(self._codes), dtype=bool)
        for name in _HASHED:
            if name in self._dictionary:
                places = np.flatnonzero(self._codes == self._dictionary.index(name))
                is_hash = pc.match_substring_regex(self._texts.take(pa.array(places)), _LIKE_A_HASH)
                unhashed[places] = ~np.asarray(is_hash)
        return unhashed

    def _named(self) -> Mask:
        """Attributes `value` beside an attribute `key` that holds a denied name."""
        named: Mask = np.zeros(len(self._codes), dtype=bool)
        if "value" not in self._dictionary or not set(NAMING_KEYS) & set(self._dictionary):
            return named
        value_code = self._dictionary.index("value")
        for record, picked in enumerate(self.pick(NAMING_KEYS)):
            verdicts = {_verdict(name)[0] for name in picked.values()}
            for place in range(int(self._offsets[record]), int(self._offsets[record + 1])):
                if self._codes[place] == value_code:
                    is_content = _ONLY_MEASURES in verdicts and not self._is_measure[place]
                    named[place] = _DROP in verdicts or is_content
        return named


def cleaned(texts: pa.Array, counts: Counts, among: Mask | None = None) -> pa.Array:
    """Texts (no nulls) without addresses, and JSON in them without what is denied; looks only `among` those marked."""
    suspects = _suspects(texts)
    if among is not None:
        suspects &= among
    places = np.flatnonzero(suspects)
    if not len(places):
        return texts
    came = texts.take(pa.array(places)).to_pylist()
    clean = [scrub_value(text, counts) for text in came]
    if clean == came:
        return texts
    return pc.replace_with_mask(texts, pa.array(suspects), pa.array(clean, pa.string()))


def masked(texts: pa.Array, counts: Counts) -> pa.Array:
    """As `cleaned`, for a column of few different texts, such as names of spans."""
    encoded = texts.dictionary_encode()
    dictionary = pa.array([mask_emails(text, counts) for text in encoded.dictionary.to_pylist()], pa.string())
    return pa.DictionaryArray.from_arrays(encoded.indices, dictionary)


def _suspects(texts: pa.Array) -> Mask:
    """Which texts could hold an address, or begin as JSON does: by single bytes, false alarms allowed."""
    count = len(texts)
    suspects: Mask = np.zeros(count, dtype=bool)
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32, count=count + 1 + texts.offset)[texts.offset :]
    if not count or offsets[-1] == offsets[0]:
        return suspects
    data = np.frombuffer(texts.buffers()[2], dtype=np.uint8)
    is_filled = offsets[1:] > offsets[:-1]
    firsts = data[np.minimum(offsets[:-1], len(data) - 1)]
    suspects |= is_filled & ((firsts == ord("{")) | (firsts == ord("[")) | (firsts == ord(" ")))
    for byte in (ord("@"), ord("%")):
        hits = np.flatnonzero(data[offsets[0] : offsets[-1]] == byte) + offsets[0]
        suspects[np.searchsorted(offsets, hits, side="right") - 1] = True
    return suspects


@lru_cache(maxsize=16_384)
def _verdict(name: str) -> tuple[int, str]:
    """What becomes of an attribute of this name, and the rule."""
    if mask_emails(name, {}) != name:
        return _DROP, "email"
    rule = denied(name)
    if rule is None:
        return _KEEP, ""
    return (_ONLY_MEASURES if rule[0] == "content" else _DROP), rule[1]


def _is_measure(value: pa.Array) -> Mask:
    """Numbers and booleans: under a name of content they hold none."""
    measures = [np.asarray(value.field(name).is_valid()) for name in ("int_value", "double_value", "bool_value")]
    is_measure: Mask = np.logical_or.reduce(measures)
    return is_measure


def texts_of(value: pa.Array, counts: Counts) -> pa.Array:
    """Every value as text, '' for none."""
    columns = [value.field("string_value")]
    ways: dict[str, Callable[[pa.Array], pa.Array]] = {
        "int_value": lambda column: column.cast(pa.string()),
        "bool_value": lambda column: column.cast(pa.string()),
        "double_value": lambda column: _each(column, number_text),
        "bytes_value": lambda column: _each(column, lambda raw: _base64(raw, counts)),
        "array_value": lambda column: _each(column, lambda raw: _nested("array_value", raw, counts)),
        "kvlist_value": lambda column: _each(column, lambda raw: _nested("kvlist_value", raw, counts)),
    }
    for name, convert in ways.items():
        column = value.field(name)
        if column.null_count < len(column):
            columns.append(convert(column))
    texts = pc.coalesce(*columns, pa.scalar("")) if len(columns) > 1 else columns[0].fill_null("")
    return pa.concat_arrays([texts]) if texts.offset else texts


def _each(column: pa.Array, text_of: Callable[..., str]) -> pa.Array:
    """`text_of` every value; once for equal ones."""
    encoded = column.dictionary_encode()
    return pa.array([text_of(one) for one in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def _base64(raw: bytes, counts: Counts) -> str:
    if b"@" in raw:
        counts["bytes"] = counts.get("bytes", 0) + 1
        return DROPPED
    return base64.b64encode(raw).decode()


def _nested(field: str, raw: bytes, counts: Counts) -> str:
    read = _nested_remembered if len(raw) <= _LONGEST_REMEMBERED else _nested_read
    text, dropped = read(field, raw)
    for rule, hits in dropped:
        counts[rule] = counts.get(rule, 0) + hits
    return text


def _nested_read(field: str, raw: bytes) -> tuple[str, tuple[tuple[str, int], ...]]:
    dropped: Counts = {}
    try:
        text = nested_text(nested(field, raw), dropped)
    except OtlpBytesError:
        return "", ((_UNREADABLE, 1),)
    return text, tuple(dropped.items())


_nested_remembered = lru_cache(maxsize=4_096)(_nested_read)
