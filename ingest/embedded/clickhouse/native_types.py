"""ClickHouse's types as far as the Native format's layout needs them: which bytes a column of so many rows takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ingest.embedded.clickhouse.errors import ClickHouseError

Family = Literal[
    "Fixed", "String", "Nullable", "Array", "Tuple", "LowCardinality", "Variant", "Flat", "Dynamic", "JSON"
]

_SIZES = {
    "Int8": 1, "UInt8": 1, "Bool": 1, "Enum8": 1, "Nothing": 1,
    "Int16": 2, "UInt16": 2, "Enum16": 2, "Date": 2, "BFloat16": 2,
    "Int32": 4, "UInt32": 4, "Float32": 4, "Date32": 4, "DateTime": 4, "Time": 4, "IPv4": 4, "Decimal32": 4,
    "Int64": 8, "UInt64": 8, "Float64": 8, "DateTime64": 8, "Time64": 8, "Decimal64": 8,
    "Int128": 16, "UInt128": 16, "UUID": 16, "IPv6": 16, "Decimal128": 16,
    "Int256": 32, "UInt256": 32, "Decimal256": 32,
}  # fmt: skip
_GEO = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiPoint": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiLineString": "Array(LineString)",
    "MultiPolygon": "Array(Polygon)",
    "Geometry": "Variant(LineString, MultiLineString, MultiPolygon, Point, Polygon, Ring, MultiPoint)",
}


@dataclass(frozen=True)
class DataType:
    """A type's layout. `size` is the bytes of a value where that is fixed."""

    family: Family
    parts: tuple["DataType", ...] = ()
    size: int = 0


STRING = DataType("String")
DYNAMIC = DataType("Dynamic")


def parse_type(text: str) -> DataType:
    """The layout of a type by its name; ClickHouseError 48 for one whose values have no length to be known by."""
    name, _, rest = text.strip().partition("(")
    arguments = split_arguments(rest.rstrip().removesuffix(")")) if rest else []
    if name in _SIZES:
        return DataType("Fixed", size=_SIZES[name])
    if name.startswith("Interval"):
        return DataType("Fixed", size=8)
    if name in _GEO:
        return parse_type(_GEO[name])
    if name in _MADE:
        return _MADE[name](arguments)
    message = (
        f"A column of type {text} cannot be sent in the Native format of a protocol revision here; "
        "cast it, or ask for another format"
    )
    raise ClickHouseError(48, "NOT_IMPLEMENTED", message)


def _decimal(arguments: list[str]) -> DataType:
    digits = int(arguments[0])
    return DataType("Fixed", size=next(size for most, size in ((9, 4), (18, 8), (38, 16), (76, 32)) if digits <= most))


def _low_cardinality(arguments: list[str]) -> DataType:
    # Its dictionary has no null map: NULL is a key.
    inner = parse_type(arguments[0])
    return DataType("LowCardinality", inner.parts if inner.family == "Nullable" else (inner,))


def _tuple(arguments: list[str]) -> DataType:
    return DataType("Tuple", tuple(parse_type(_unnamed(argument)) for argument in arguments))


def _qbit(arguments: list[str]) -> DataType:
    # A column of FixedString for each bit of the element's type: as many bytes as one of all of them.
    bits = 8 * parse_type(arguments[0]).size
    return DataType("Fixed", size=bits * ((int(arguments[1]) + 7) // 8))


_MADE: dict[str, Callable[[list[str]], DataType]] = {
    "String": lambda _: STRING,
    # Of Dynamic: values of rare types, in binary.
    "SharedVariant": lambda _: STRING,
    "FixedString": lambda arguments: DataType("Fixed", size=int(arguments[0])),
    "Decimal": _decimal,
    "QBit": _qbit,
    "Nullable": lambda arguments: DataType("Nullable", (parse_type(arguments[0]),)),
    "Array": lambda arguments: DataType("Array", (parse_type(arguments[0]),)),
    "LowCardinality": _low_cardinality,
    "SimpleAggregateFunction": lambda arguments: parse_type(arguments[-1]),
    "Tuple": _tuple,
    "Map": lambda arguments: DataType("Array", (DataType("Tuple", tuple(map(parse_type, arguments))),)),
    "Nested": lambda arguments: DataType("Array", (_tuple(arguments),)),
    "Variant": lambda arguments: DataType("Variant", tuple(map(parse_type, arguments))),
    "Dynamic": lambda _: DYNAMIC,
    "JSON": lambda arguments: DataType("JSON", tuple(parse_type(kind) for _, kind in sorted(_typed_paths(arguments)))),
}


def split_arguments(text: str) -> list[str]:
    """`a, b(c, d), 'e,f'` at its outer commas."""
    found, depth, begin, at = [], 0, 0, 0
    while at < len(text):
        sign = text[at]
        if sign in "'`\"":
            at += 1
            while at < len(text) and text[at] != sign:
                at += 2 if text[at] == "\\" else 1
        elif sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
        elif sign == "," and not depth:
            found.append(text[begin:at].strip())
            begin = at + 1
        at += 1
    last = text[begin:].strip()
    return [*found, last] if last else found


def _unnamed(argument: str) -> str:
    """`name Type` without its name."""
    name, kind = _named(argument)
    return kind if name else argument


def _named(argument: str) -> tuple[str, str]:
    if argument.startswith("`"):
        end = 1
        while end < len(argument) and argument[end] != "`":
            end += 2 if argument[end] == "\\" else 1
        return argument[1:end], argument[end + 1 :].strip()
    name, space, kind = argument.partition(" ")
    return (name, kind.strip()) if space and "(" not in name and "'" not in name else ("", argument)


def _typed_paths(arguments: list[str]) -> list[tuple[str, str]]:
    """The paths of a JSON type that have a type of their own."""
    found = []
    for argument in arguments:
        if argument.startswith(("max_dynamic_", "SKIP ")):
            continue
        # A path may be a.b.`c d`: its type begins after the first space outside of backquotes.
        at, is_quoted = 0, False
        while at < len(argument) and (is_quoted or argument[at] != " "):
            is_quoted ^= argument[at] == "`"
            at += 1
        found.append((argument[:at].replace("`", ""), argument[at:].strip()))
    return found
