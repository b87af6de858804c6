"""What an error of ClickHouse means for whoever has to decide: try again, bisect, or stop.

In: the exception a clickhouse-connect call raised. Out: its ClickHouse code, if it has one, and an ErrorKind. Pure;
never raises. An error nobody listed is UNKNOWN: treat it like TRANSIENT, within a deadline, and say its code.
"""

import enum
import errno
import re
from typing import Final

UNKNOWN_TABLE: Final = 60
UNKNOWN_DATABASE: Final = 81

_CODE_IN_TEXT: Final = re.compile(r"\bCode:\s*(\d+)")
_CODE_AT_START: Final = re.compile(r"exception, code:\s*(\d+)")


class ErrorKind(enum.Enum):
    """What to do about an error."""

    TRANSIENT = "transient"  # try again with backoff
    RESOURCE = "resource"  # try again with backoff, and tell people: the server lacks space, memory or merges
    BAD_DATA = "bad_data"  # a row does not fit: bisect to it
    AUTHENTICATION = "authentication"  # stop: wrong user, password or grants
    SCHEMA = "schema"  # stop: the tables or the statement are not what this code expects
    UNKNOWN = "unknown"


# Code -> (ClickHouse's name, kind). From system.errors / ErrorCodes.cpp; why a kind, where the name does not say it.
CODES: Final[dict[int, tuple[str, ErrorKind]]] = {
    # The value or the bytes of a row do not fit the column.
    6: ("CANNOT_PARSE_TEXT", ErrorKind.BAD_DATA),
    9: ("SIZES_OF_COLUMNS_DOESNT_MATCH", ErrorKind.BAD_DATA),
    25: ("CANNOT_PARSE_ESCAPE_SEQUENCE", ErrorKind.BAD_DATA),
    26: ("CANNOT_PARSE_QUOTED_STRING", ErrorKind.BAD_DATA),
    27: ("CANNOT_PARSE_INPUT_ASSERTION_FAILED", ErrorKind.BAD_DATA),
    32: ("ATTEMPT_TO_READ_AFTER_EOF", ErrorKind.TRANSIENT),  # the body ended early: the connection broke
    33: ("CANNOT_READ_ALL_DATA", ErrorKind.TRANSIENT),  # likewise
    38: ("CANNOT_PARSE_DATE", ErrorKind.BAD_DATA),
    41: ("CANNOT_PARSE_DATETIME", ErrorKind.BAD_DATA),
    53: ("TYPE_MISMATCH", ErrorKind.BAD_DATA),
    69: ("ARGUMENT_OUT_OF_BOUND", ErrorKind.BAD_DATA),
    70: ("CANNOT_CONVERT_TYPE", ErrorKind.BAD_DATA),
    72: ("CANNOT_PARSE_NUMBER", ErrorKind.BAD_DATA),
    117: ("INCORRECT_DATA", ErrorKind.BAD_DATA),
    131: ("TOO_LARGE_STRING_SIZE", ErrorKind.BAD_DATA),
    190: ("SIZES_OF_ARRAYS_DONT_MATCH", ErrorKind.BAD_DATA),
    246: ("CORRUPTED_DATA", ErrorKind.TRANSIENT),  # of a part or of the body; a row cannot be the cause
    321: ("VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE", ErrorKind.BAD_DATA),
    349: ("CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", ErrorKind.BAD_DATA),
    376: ("CANNOT_PARSE_UUID", ErrorKind.BAD_DATA),
    407: ("DECIMAL_OVERFLOW", ErrorKind.BAD_DATA),
    441: ("CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING", ErrorKind.BAD_DATA),
    467: ("CANNOT_PARSE_BOOL", ErrorKind.BAD_DATA),
    469: ("VIOLATED_CONSTRAINT", ErrorKind.BAD_DATA),
    636: ("CANNOT_EXTRACT_TABLE_STRUCTURE", ErrorKind.BAD_DATA),
    691: ("UNKNOWN_ELEMENT_OF_ENUM", ErrorKind.BAD_DATA),
    # The statement, the tables or their columns are not what the code expects: `meterhouse migrate`, or a defect.
    10: ("NOT_FOUND_COLUMN_IN_BLOCK", ErrorKind.SCHEMA),
    16: ("NO_SUCH_COLUMN_IN_TABLE", ErrorKind.SCHEMA),
    20: ("NUMBER_OF_COLUMNS_DOESNT_MATCH", ErrorKind.SCHEMA),
    36: ("BAD_ARGUMENTS", ErrorKind.SCHEMA),
    43: ("ILLEGAL_TYPE_OF_ARGUMENT", ErrorKind.SCHEMA),
    44: ("ILLEGAL_COLUMN", ErrorKind.SCHEMA),
    46: ("UNKNOWN_FUNCTION", ErrorKind.SCHEMA),
    47: ("UNKNOWN_IDENTIFIER", ErrorKind.SCHEMA),
    48: ("NOT_IMPLEMENTED", ErrorKind.SCHEMA),
    50: ("UNKNOWN_TYPE", ErrorKind.SCHEMA),
    57: ("TABLE_ALREADY_EXISTS", ErrorKind.SCHEMA),
    60: ("UNKNOWN_TABLE", ErrorKind.SCHEMA),
    62: ("SYNTAX_ERROR", ErrorKind.SCHEMA),
    73: ("UNKNOWN_FORMAT", ErrorKind.SCHEMA),
    80: ("INCORRECT_QUERY", ErrorKind.SCHEMA),
    81: ("UNKNOWN_DATABASE", ErrorKind.SCHEMA),
    115: ("UNKNOWN_SETTING", ErrorKind.SCHEMA),
    122: ("INCOMPATIBLE_COLUMNS", ErrorKind.SCHEMA),
    181: ("ILLEGAL_FINAL", ErrorKind.SCHEMA),
    218: ("TABLE_IS_DROPPED", ErrorKind.SCHEMA),
    452: ("SETTING_CONSTRAINT_VIOLATION", ErrorKind.SCHEMA),
    565: ("TOO_MANY_PARTITIONS", ErrorKind.SCHEMA),
    701: ("CLUSTER_DOESNT_EXIST", ErrorKind.SCHEMA),
    764: ("DEDUPLICATION_IS_NOT_POSSIBLE", ErrorKind.SCHEMA),  # never land without the token's protection
    774: ("TABLE_IS_PERMANENTLY_READ_ONLY", ErrorKind.SCHEMA),
    # Who we are, or what we may do.
    164: ("READONLY", ErrorKind.AUTHENTICATION),
    192: ("UNKNOWN_USER", ErrorKind.AUTHENTICATION),
    193: ("WRONG_PASSWORD", ErrorKind.AUTHENTICATION),
    194: ("REQUIRED_PASSWORD", ErrorKind.AUTHENTICATION),
    195: ("IP_ADDRESS_NOT_ALLOWED", ErrorKind.AUTHENTICATION),
    291: ("DATABASE_ACCESS_DENIED", ErrorKind.AUTHENTICATION),
    472: ("READONLY_SETTING", ErrorKind.AUTHENTICATION),  # the user's profile forbids what an insert must set
    497: ("ACCESS_DENIED", ErrorKind.AUTHENTICATION),
    516: ("AUTHENTICATION_FAILED", ErrorKind.AUTHENTICATION),
    # The server lacks something that comes back by itself or by a person: wait, and say so.
    158: ("TOO_MANY_ROWS", ErrorKind.RESOURCE),
    201: ("QUOTA_EXCEEDED", ErrorKind.RESOURCE),
    202: ("TOO_MANY_SIMULTANEOUS_QUERIES", ErrorKind.RESOURCE),
    241: ("MEMORY_LIMIT_EXCEEDED", ErrorKind.RESOURCE),
    243: ("NOT_ENOUGH_SPACE", ErrorKind.RESOURCE),
    252: ("TOO_MANY_PARTS", ErrorKind.RESOURCE),  # merges are behind
    290: ("LIMIT_EXCEEDED", ErrorKind.RESOURCE),
    307: ("TOO_MANY_BYTES", ErrorKind.RESOURCE),
    364: ("RECEIVED_ERROR_TOO_MANY_REQUESTS", ErrorKind.RESOURCE),
    396: ("TOO_MANY_ROWS_OR_BYTES", ErrorKind.RESOURCE),
    439: ("CANNOT_SCHEDULE_TASK", ErrorKind.RESOURCE),
    574: ("DISTRIBUTED_TOO_MANY_PENDING_BYTES", ErrorKind.RESOURCE),
    692: ("TOO_MANY_MUTATIONS", ErrorKind.RESOURCE),
    700: ("USER_SESSION_LIMIT_EXCEEDED", ErrorKind.RESOURCE),
    745: ("SERVER_OVERLOADED", ErrorKind.RESOURCE),
    749: ("TCP_CONNECTION_LIMIT_REACHED", ErrorKind.RESOURCE),
    762: ("HTTP_CONNECTION_LIMIT_REACHED", ErrorKind.RESOURCE),
    776: ("RESOURCE_LIMIT_EXCEEDED", ErrorKind.RESOURCE),
    1016: ("TABLE_SIZE_LIMIT_EXCEEDED", ErrorKind.RESOURCE),
    1019: ("QUERY_SLOT_ACQUISITION_TIMEOUT", ErrorKind.RESOURCE),
    1020: ("MEMORY_RESERVATION_ACQUISITION_TIMEOUT", ErrorKind.RESOURCE),
    # Faults that pass.
    3: ("UNEXPECTED_END_OF_FILE", ErrorKind.TRANSIENT),
    23: ("CANNOT_READ_FROM_ISTREAM", ErrorKind.TRANSIENT),
    24: ("CANNOT_WRITE_TO_OSTREAM", ErrorKind.TRANSIENT),
    74: ("CANNOT_READ_FROM_FILE_DESCRIPTOR", ErrorKind.TRANSIENT),
    75: ("CANNOT_WRITE_TO_FILE_DESCRIPTOR", ErrorKind.TRANSIENT),
    76: ("CANNOT_OPEN_FILE", ErrorKind.TRANSIENT),
    95: ("CANNOT_READ_FROM_SOCKET", ErrorKind.TRANSIENT),
    96: ("CANNOT_WRITE_TO_SOCKET", ErrorKind.TRANSIENT),
    159: ("TIMEOUT_EXCEEDED", ErrorKind.TRANSIENT),
    160: ("TOO_SLOW", ErrorKind.TRANSIENT),
    203: ("NO_FREE_CONNECTION", ErrorKind.TRANSIENT),
    209: ("SOCKET_TIMEOUT", ErrorKind.TRANSIENT),
    210: ("NETWORK_ERROR", ErrorKind.TRANSIENT),
    225: ("NO_ZOOKEEPER", ErrorKind.TRANSIENT),
    216: ("QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", ErrorKind.TRANSIENT),
    236: ("ABORTED", ErrorKind.TRANSIENT),
    242: ("TABLE_IS_READ_ONLY", ErrorKind.TRANSIENT),  # a replica without its Keeper session
    244: ("UNEXPECTED_ZOOKEEPER_ERROR", ErrorKind.TRANSIENT),
    254: ("NO_ACTIVE_REPLICAS", ErrorKind.TRANSIENT),
    271: ("CANNOT_DECOMPRESS", ErrorKind.TRANSIENT),  # bytes damaged or cut on the way
    279: ("ALL_CONNECTION_TRIES_FAILED", ErrorKind.TRANSIENT),
    285: ("TOO_FEW_LIVE_REPLICAS", ErrorKind.TRANSIENT),
    286: ("UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE", ErrorKind.TRANSIENT),
    289: ("REPLICA_IS_NOT_IN_QUORUM", ErrorKind.TRANSIENT),
    319: ("UNKNOWN_STATUS_OF_INSERT", ErrorKind.TRANSIENT),  # the token makes the repetition safe
    369: ("ALL_REPLICAS_ARE_STALE", ErrorKind.TRANSIENT),
    373: ("SESSION_IS_LOCKED", ErrorKind.TRANSIENT),
    394: ("QUERY_WAS_CANCELLED", ErrorKind.TRANSIENT),
    425: ("SYSTEM_ERROR", ErrorKind.TRANSIENT),
    473: ("DEADLOCK_AVOIDED", ErrorKind.TRANSIENT),
    499: ("S3_ERROR", ErrorKind.TRANSIENT),
    517: ("CANNOT_ASSIGN_ALTER", ErrorKind.TRANSIENT),
    677: ("THREAD_WAS_CANCELED", ErrorKind.TRANSIENT),
    696: ("ASYNC_LOAD_CANCELED", ErrorKind.TRANSIENT),  # the server is going down
    733: ("TABLE_IS_BEING_RESTARTED", ErrorKind.TRANSIENT),
    735: ("QUERY_WAS_CANCELLED_BY_CLIENT", ErrorKind.TRANSIENT),
    999: ("KEEPER_EXCEPTION", ErrorKind.TRANSIENT),
}
# HTTP statuses of proxies and balancers in front of ClickHouse, which carry no ClickHouse code.
_STATUS = re.compile(r"HTTP (?:driver received HTTP )?status:? (\d{3})")
_STATUS_KINDS: Final = {
    401: ErrorKind.AUTHENTICATION,
    403: ErrorKind.AUTHENTICATION,
    408: ErrorKind.TRANSIENT,
    429: ErrorKind.RESOURCE,
    507: ErrorKind.RESOURCE,
}


def code_of(error: BaseException) -> int | None:
    """ClickHouse's code of the error: from the exception header, else from the words; None for a network error."""
    code: object = getattr(error, "code", None)
    if isinstance(code, int) and not isinstance(code, bool):
        return code
    for pattern in (_CODE_AT_START, _CODE_IN_TEXT):
        found = pattern.search(str(error))
        if found:
            return int(found.group(1))
    return None


def is_not_there(error: BaseException) -> bool:
    """Whether the table or its database is what the engine does not know: nothing was migrated or built yet."""
    return code_of(error) in (UNKNOWN_TABLE, UNKNOWN_DATABASE)


def kind_of(error: BaseException) -> ErrorKind:
    """What to do about it; looks at the error, then at what it was raised from."""
    code = code_of(error)
    if code is not None:
        return _kind_of_code(code, str(error))
    status = _STATUS.search(str(error))
    if status:
        number = int(status.group(1))
        return _STATUS_KINDS.get(number, ErrorKind.TRANSIENT if number >= 500 else ErrorKind.UNKNOWN)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return ErrorKind.RESOURCE
        if isinstance(cause, (OSError, TimeoutError)) or type(cause).__module__.startswith("urllib3."):
            return ErrorKind.TRANSIENT
        cause = cause.__cause__ or cause.__context__
    return ErrorKind.UNKNOWN


def describe(error: BaseException) -> str:
    """`252 TOO_MANY_PARTS`, or the exception's class where there is no code: short, for logs and labels."""
    code = code_of(error)
    if code is None:
        return type(error).__name__
    return f"{code} {CODES[code][0]}" if code in CODES else f"{code} {getattr(error, 'name', None) or 'UNLISTED'}"


def innermost(error: BaseException) -> str:
    """What the network or the operating system said, without the layers around it."""
    said = str(error)
    cause: BaseException | None = error
    while cause is not None:
        reason = getattr(cause, "reason", None)
        if isinstance(cause, OSError):
            said = cause.strerror or str(cause) or said
        cause = reason if isinstance(reason, BaseException) else cause.__cause__ or cause.__context__
    return said.removesuffix(".")


def _kind_of_code(code: int, words: str) -> ErrorKind:
    lowered = words.lower()
    if "no space left on device" in lowered or "enospc" in lowered:
        return ErrorKind.RESOURCE
    if code == 1002:  # UNKNOWN_EXCEPTION: the standard library's, whose words are all there is
        return ErrorKind.UNKNOWN
    return CODES[code][1] if code in CODES else ErrorKind.UNKNOWN
