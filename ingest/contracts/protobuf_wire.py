"""Protobuf's wire format, as far as a walk over bytes needs it.

In: bytes and positions. Out: numbers, positions, fields. Raises IndexError for bytes that are no message.
"""

from ingest.contracts.otlp_schema import varint


def framed(tag: bytes, content: bytes) -> bytes:
    """A field with a length."""
    return tag + varint(len(content)) + content


def read_varint(wire: bytes, pos: int) -> tuple[int, int]:
    """The number at `pos`, and what is behind it. Raises IndexError."""
    number = wire[pos]
    pos += 1
    if number < 128:
        return number, pos
    number &= 127
    for shift in range(7, 70, 7):
        byte = wire[pos]
        pos += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, pos
    raise IndexError


def length_fields(wire: bytes, pos: int, end: int) -> list[tuple[int, int, int, int]]:
    """Fields with lengths, as (where, tag, start, end); of others only that they can be skipped. Raises IndexError."""
    found = []
    while pos < end:
        at = pos
        tag, pos = read_varint(wire, pos)
        wire_type = tag & 7
        if wire_type == 2:
            size, pos = read_varint(wire, pos)
            found.append((at, tag, pos, pos + size))
            pos += size
        elif wire_type == 0:
            pos = read_varint(wire, pos)[1]
        elif wire_type in (1, 5):
            pos += 8 if wire_type == 1 else 4
        else:
            raise IndexError
    if pos != end:
        raise IndexError
    return found
