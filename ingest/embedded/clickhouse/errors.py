"""Exceptions in ClickHouse's words: code, name, message and the HTTP status ClickHouse gives each.

The statuses are those of `exceptionCodeToHTTPStatus` in ClickHouse's src/Server/HTTP/exceptionCodeToHTTPStatus.cpp.
"""

import re

# As of ClickHouse 26.9; what is not here is a 500, READONLY and TOO_MANY_SIMULTANEOUS_QUERIES among them.
_STATUS_CODES: dict[int, tuple[int, ...]] = {
    400: (
        *(6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168),
        *(223, 321, 376, 427, 441, 675, 676),
    ),
    401: (194,),
    403: (192, 193, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    415: (779,),
    501: (48,),
    503: (76, 209, 439, 1017),
}
_STATUS = {code: status for status, codes in _STATUS_CODES.items() for code in codes}
# What this server added to the query, which its author never wrote.
_ADDED = re.compile(
    r"\n?(/\* by=[0-9a-f.]+ \*/)?/\* query_id=[^\n]*? \*/|\nINTO OUTFILE '/dev/fd/\d+' TRUNCATE (/\*\*/FORMAT \w+)?"
    r"|: \(in file/uri [^)\n]*\)|FROM INFILE '[^']*' COMPRESSION 'none' ?"
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
