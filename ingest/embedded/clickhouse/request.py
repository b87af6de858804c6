"""One request as ClickHouse's HTTP interface reads it: URL parameters, headers and form fields apart.

What is not known here by name is a setting, `param_<name>` a query parameter.
"""

import ast
import re
import uuid
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast, get_args
from urllib.parse import parse_qsl

from ingest.embedded.clickhouse.blocks import Method
from ingest.embedded.clickhouse.errors import ClickHouseError

# Parameters of the HTTP interface itself, not settings.
_OWN = {
    "query", "database", "default_format", "query_id", "session_id", "session_timeout", "session_check", "compress",
    "decompress", "user", "password", "role", "quota_key", "client_protocol_version", "buffer_size",
    "wait_end_of_query", "close_session", "stacktrace", "enable_http_compression", "http_zlib_compression_level",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close",
    "http_native_compression_disable_checksumming_on_decompress", "add_http_cors_header",
    "http_write_exception_in_output_format", "http_response_headers", "http_make_head_request",
    "http_max_field_value_size", "http_wait_end_of_query", "http_response_buffer_size", "",
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What one request asks for, apart from its body."""

    method: str
    path: str
    query: str
    user: str
    password: str
    query_id: str
    database: str = ""
    default_format: str = ""
    session_id: str = ""
    session_timeout_s: int = 60
    session_check: bool = False
    is_waiting_for_end: bool = False
    # Said in so many words; who says nothing has the beginning held back.
    is_never_waiting: bool = False
    buffer_bytes: int = 0
    is_compression_enabled: bool = True
    compression_level: int = 3
    has_native_compression: bool = False
    native_method: Method = "LZ4"
    native_zstd_level: int = 3
    has_native_decompression: bool = False
    is_checksum_checked: bool = True
    # Seconds between two X-ClickHouse-Progress headers; 0: none.
    progress_every_s: float = 0.0
    protocol_version: int = 0
    allows_any_origin: bool = False
    response_headers: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def read_request(method: str, path: str, url_query: bytes, raw_headers: Iterable[tuple[bytes, bytes]]) -> Request:
    """The request; raises ClickHouseError when a parameter or the credentials cannot be read."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw_headers}
    try:
        given = dict(parse_qsl(url_query.decode("latin-1"), keep_blank_values=True, errors="strict"))
    except (UnicodeDecodeError, ValueError) as error:
        raise ClickHouseError(36, "BAD_ARGUMENTS", "The URL's parameters are not UTF-8") from error
    user, password = _credentials(given, headers)
    return Request(
        method=method,
        path=path,
        query=given.get("query", ""),
        user=user,
        password=password,
        query_id=_printable(given.get("query_id") or headers.get("x-clickhouse-query-id", "")) or str(uuid.uuid4()),
        database=headers.get("x-clickhouse-database") or given.get("database", ""),
        default_format=format_name(headers.get("x-clickhouse-format") or given.get("default_format", "")),
        session_id=given.get("session_id", ""),
        session_timeout_s=_timeout(given.get("session_timeout", "60")),
        session_check=given.get("session_check") == "1",
        is_never_waiting="0" in (given.get("wait_end_of_query"), given.get("http_wait_end_of_query")),
        is_waiting_for_end=_flag(given, "http_wait_end_of_query", "wait_end_of_query"),
        buffer_bytes=_whole(given, "http_response_buffer_size", "buffer_size"),
        is_compression_enabled=_flag(given, "enable_http_compression", default=True),
        compression_level=_whole(given, "http_zlib_compression_level", default=3),
        has_native_compression=_flag(given, "compress"),
        native_method=_method(given.get("network_compression_method", "LZ4")),
        native_zstd_level=_whole(given, "network_zstd_compression_level", default=3),
        has_native_decompression=_flag(given, "decompress"),
        is_checksum_checked=not _flag(given, "http_native_compression_disable_checksumming_on_decompress"),
        progress_every_s=(
            max(_whole(given, "http_headers_progress_interval_ms", default=100), 10) / 1000
            if _flag(given, "send_progress_in_http_headers")
            else 0.0
        ),
        protocol_version=_whole(given, "client_protocol_version"),
        allows_any_origin=_flag(given, "add_http_cors_header"),
        response_headers=_response_headers(given.get("http_response_headers", "")),
        settings={name: value for name, value in given.items() if name not in _OWN and not name.startswith("param_")},
        parameters={name[6:]: value for name, value in given.items() if name.startswith("param_")},
        headers=headers,
    )


def format_name(text: str) -> str:
    """The name of a format, or ''; it becomes part of a statement, so nothing but a name passes."""
    if text and not text.isidentifier():
        raise ClickHouseError(73, "UNKNOWN_FORMAT", f"Unknown format {text}")
    return text


def _credentials(given: dict[str, str], headers: dict[str, str]) -> tuple[str, str]:
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", "")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = b64decode(token, validate=True).decode().partition(":")
        except (Base64Error, UnicodeDecodeError) as error:
            raise ClickHouseError(516, "AUTHENTICATION_FAILED", "Basic credentials cannot be read") from error
        return user or "default", password
    if scheme:
        message = f"Authorization scheme {scheme!r} is not supported here, use Basic"
        raise ClickHouseError(516, "AUTHENTICATION_FAILED", message)
    return given.get("user") or "default", given.get("password", "")


def _flag(given: dict[str, str], *names: str, default: bool = False) -> bool:
    """A boolean by the first of its names that is given."""
    for name in names:
        text = given.get(name, "").lower()
        if text in ("1", "true", "yes", "on"):
            return True
        if text in ("0", "false", "no", "off"):
            return False
        if text:
            raise ClickHouseError(467, "CANNOT_PARSE_BOOL", f"Cannot parse '{text}' of {name}, expected 0 or 1")
    return default


def _whole(given: dict[str, str], *names: str, default: int = 0) -> int:
    for name in names:
        text = given.get(name, "")
        if text.isdecimal():
            return int(text)
        if text:
            raise ClickHouseError(
                72, "CANNOT_PARSE_NUMBER", f"Cannot parse '{text}' of {name}, expected a whole number"
            )
    return default


def _method(text: str) -> Method:
    """The codec of compress=1. Without one LZ4, which every driver reads; a server's own default is ZSTD since 26.x."""
    for method in get_args(Method):
        if text.upper() == method:
            return cast("Method", method)
    raise ClickHouseError(
        432, "UNKNOWN_CODEC", f"Unknown codec '{text}', expected one of {', '.join(get_args(Method))}"
    )


def _response_headers(text: str) -> dict[str, str]:
    """`{'name': 'value'}`, the setting http_response_headers."""
    if not text:
        return {}
    try:
        found = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(one, str) for pair in found.items() for one in pair):
        message = f"http_response_headers: expected a map such as {{'name': 'value'}}, got {text}"
        raise ClickHouseError(36, "BAD_ARGUMENTS", message)
    for name, value in found.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or _printable(value) != value:
            raise ClickHouseError(36, "BAD_ARGUMENTS", f"http_response_headers: {name!r} cannot be a header")
    return found


def _printable(text: str) -> str:
    """Without control characters, which would end a header."""
    return "".join(sign for sign in text if sign.isprintable())


def _timeout(text: str) -> int:
    if not text.isdigit() or int(text) > 3600:
        message = f"Invalid session timeout: '{text}', expected whole seconds up to 3600"
        raise ClickHouseError(374, "INVALID_SESSION_TIMEOUT", message)
    return int(text)
