"""One field's JSON value to its normal form, or a Complaint that says what was expected and what came.

In: a parsed JSON value (fractions as Raw text, see privacy.DECODER) and its Field. Out: str, int, float or None.
Complaints show numbers, times and well-spelled choices; of any other text only its length, since it may be content.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import msgspec

from ingest.contracts.denial import count, mask_emails
from ingest.contracts.fields import (
    DECIMAL_PATTERN,
    KNOWN_SCHEMA_VERSION,
    MONEY_PLACES,
    NIL_UUID,
    RAW_IDENTIFIER_FIELDS,
    TIME_PATTERN,
    UUID_PATTERN,
    WORKSPACE_PATTERN,
    Field,
    Kind,
)
from ingest.contracts.outcome import ErrorClass

Number = int | msgspec.Raw
Normal = str | int | float | None

_UUID = re.compile(UUID_PATTERN.rstrip("$"))
_WORKSPACE = re.compile(WORKSPACE_PATTERN.rstrip("$"))
_TIME = re.compile(TIME_PATTERN.rstrip("$"))
_DECIMAL = re.compile(DECIMAL_PATTERN.rstrip("$"))
_SIGNED_DECIMAL = re.compile(r"[+-]" + DECIMAL_PATTERN.strip("^$"))
_CHOICE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_TIME_LIKE = re.compile(r"[0-9TtZz:+. -]{1,40}")
_DECIMALS: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)
_ONE_PLACE: Final = Decimal(1).scaleb(-MONEY_PLACES)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Complaint(Exception):  # noqa: N818 - not an error of the program: a verdict on the way to judge()
    """Why a field cannot be taken."""

    def __init__(self, error_class: ErrorClass, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}, came {came}")
        self.error_class = error_class


def shape(value: object) -> str:
    """What came, without showing text."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return _bounded(str(value)) if value.bit_length() < 256 else "an integer of more than 75 digits"
        case msgspec.Raw():
            return _bounded(bytes(value).decode("ascii", "replace"))
        case str():
            return f"a string of {len(value)} characters"
        case list():
            return f"an array of {len(value)}"
        case _:
            return "an object"


def _bounded(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def normalise(field: Field, value: object, dropped: dict[str, int]) -> Normal:
    """The value as it lands. `dropped` counts raw identifiers and e-mails that were taken out. Raises Complaint."""
    if field.kind == "text":
        return _text(field, value, dropped)
    return _READERS[field.kind](field, value)


def _string(value: object, expected: str = "a string") -> str:
    if not isinstance(value, str):
        raise Complaint("wrong_type", expected, shape(value))
    return value


def _text(field: Field, value: object, dropped: dict[str, int]) -> str | None:
    text = _string(value)
    longest = field.max_chars or 0
    if len(text) > longest:
        raise Complaint("too_long", f"at most {longest} characters", f"{len(text)}")
    if field.name in RAW_IDENTIFIER_FIELDS and "@" in text:
        count(dropped, field.name)
        return None
    return mask_emails(text, dropped)[:longest] or None


def _choice(field: Field, value: object) -> str | None:
    text = _string(value)
    if text in field.choices:
        return text
    if not text and not field.is_required:
        return None
    came = repr(text) if _CHOICE.fullmatch(text) else shape(text)
    error_class: ErrorClass = "unknown_event_type" if field.name == "event_type" else "unknown_status"
    raise Complaint(error_class, f"one of {', '.join(field.choices)}", came)


def _uuid(value: object) -> str:
    text = _string(value, "a UUID as a string")
    if not _UUID.fullmatch(text):
        raise Complaint("bad_identifier", "a UUID as 8-4-4-4-12 hexadecimal digits", shape(text))
    if text == NIL_UUID:
        raise Complaint("bad_identifier", "a UUID", "the nil UUID")
    return text.lower()


def _workspace(value: object) -> str:
    text = _string(value)
    if not _WORKSPACE.fullmatch(text):
        raise Complaint(
            "bad_identifier", "1 to 128 letters, digits or . _ : - that begin with a letter or digit", shape(text)
        )
    return text


def _integer(value: object, maximum: int | None, at_least: int = 0) -> int:
    expected = f"an integer from {at_least} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise Complaint("wrong_type", expected, shape(value))
    if value < at_least or (maximum is not None and value > maximum):
        raise Complaint("out_of_range", expected, shape(value))
    return value


def _float(value: object, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | msgspec.Raw):
        raise Complaint("wrong_type", expected, shape(value))
    try:
        return float(value if isinstance(value, int) else bytes(value))
    except OverflowError:
        return float("inf")


def _milliseconds(value: object, maximum: int | None) -> float:
    expected = f"a number from 0 to {maximum}"
    number = _float(value, expected)
    if not 0 <= number <= (maximum or 0):
        raise Complaint("out_of_range", expected, shape(value))
    return number + 0.0  # -0.0 becomes 0.0


def _money(value: object, maximum: int | None) -> str:
    """A decimal string of 12 places. A JSON number means the shortest decimal of its IEEE double, a string itself."""
    expected = f"a number or decimal string from 0 to {maximum}"
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            is_signed = _SIGNED_DECIMAL.fullmatch(value) is not None
            raise Complaint("out_of_range" if is_signed else "wrong_type", expected, shape(value))
        amount = Decimal(value)
    else:
        number = _float(value, expected)
        amount = Decimal(repr(number)) if number < float("inf") else Decimal("Infinity")
    if not 0 <= amount <= (maximum or 0):
        raise Complaint("out_of_range", expected, shape(value))
    return f"{abs(amount.quantize(_ONE_PLACE, context=_DECIMALS)):f}"


def epoch_ms(value: object) -> int:
    """Milliseconds since 1970 of an RFC 3339 string or an integer; digits beyond them are cut, not rounded."""
    expected = "RFC 3339 with an offset, such as 2026-11-23T09:30:00.250Z, or integer epoch milliseconds"
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = _string(value, expected)
    came = repr(text) if _TIME_LIKE.fullmatch(text) else shape(text)
    if not _TIME.fullmatch(text):
        raise Complaint("bad_time", expected, came)
    is_utc = text[-1] in "Zz"
    clock = text[19:-1] if is_utc else text[19:-6]
    try:
        moment = datetime(*(int(text[a:b]) for a, b in _PARTS), tzinfo=UTC if is_utc else _offset(text))  # type: ignore[misc,arg-type]
    except ValueError:
        raise Complaint("bad_time", "a date of the calendar", came) from None
    since = moment - _EPOCH
    return since // timedelta(seconds=1) * 1000 + int(clock[1:4].ljust(3, "0"))


_READERS: Final[Mapping[Kind, Callable[[Field, object], Normal]]] = {
    "uuid": lambda _, value: _uuid(value),
    "choice": _choice,
    "version": lambda _, value: _integer(value, KNOWN_SCHEMA_VERSION, at_least=1),
    "time": lambda _, value: epoch_ms(value),
    "workspace": lambda _, value: _workspace(value),
    "tokens": lambda field, value: _integer(value, field.maximum),
    "milliseconds": lambda field, value: _milliseconds(value, field.maximum),
    "money": lambda field, value: _money(value, field.maximum),
}
_PARTS: Final = ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))


def _offset(text: str) -> timezone:
    minutes = int(text[-5:-3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[-6] == "-" else minutes))


def iso(ms: int) -> str:
    """Epoch ms for people; the number itself where no calendar has it."""
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return shape(ms)
