"""Exceptions in ClickHouse's words: code, name, message and the HTTP status ClickHouse gives each.

The statuses are those of `exceptionCodeToHTTPStatus` in ClickHouse's src/Server/HTTP/exceptionCodeToHTTPStatus.cpp.
"""

import re

_STATUS_CODES: dict[int, tuple[int, ...]] = {
    401: (194,),
    403: (192, 193, 516, 497, 164),
    400: (
        36,
        427,
        6,
        25,
        26,
        38,
        41,
        72,
        441,
        442,
        27,
        376,
        15,
        44,
        43,
        8,
        49,
        62,
        117,
        53,
        167,
        168,
        35,
        42,
        456,
        457,
    ),
    404: (60, 46, 47, 50, 56, 81, 115, 63, 73, 336, 372),
    408: (159,),
    413: (66,),
    501: (48,),
    503: (209, 76, 202),
}
_STATUS = {code: status for status, codes in _STATUS_CODES.items() for code in codes}
# What this server added to the query, which its author never wrote.
_ADDED = re.compile(
    r"\n?/\* query_id=[^\n]*? \*/|\nINTO OUTFILE '/dev/fd/\d+' TRUNCATE (FORMAT TabSeparated)?"
    r"|: \(in file/uri [^)\n]*\)| FROM INFILE '[^']*' COMPRESSION 'none'"
)
_CODE = re.compile(r"Code: (\d+)\. (?:DB::)?Exception: ")


class ClickHouseError(Exception):
    """What a client gets: `code` and `name` as ClickHouse numbers them."""

    def __init__(self, code: int, name: str, message: str, body: str = "") -> None:
        self.code, self.name = code, name
        self.body = body or f"Code: {code}. DB::Exception: {message}. ({name})"
        super().__init__(self.body)

    @property
    def status(self) -> int:
        """The HTTP status of an answer that begins with this error."""
        return _STATUS.get(self.code, 500)


def from_engine(error: Exception) -> ClickHouseError:
    """The engine's exception; what has no code in it is a 1002 (UNKNOWN_EXCEPTION)."""
    text = _ADDED.sub("", str(error).strip())
    match = _CODE.search(text)
    if match is None:
        return ClickHouseError(1002, "UNKNOWN_EXCEPTION", text or type(error).__name__)
    return ClickHouseError(int(match.group(1)), "", "", body=text[match.start() :])
