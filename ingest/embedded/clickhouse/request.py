"""One request as ClickHouse's HTTP interface reads it: URL parameters, headers and form fields apart.

What is not known here by name is a setting, `param_<name>` a query parameter.
"""

import uuid
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from ingest.embedded.clickhouse.errors import ClickHouseError

# Parameters of the HTTP interface itself, not settings.
_OWN = {
    "query", "database", "default_format", "query_id", "session_id", "session_timeout", "session_check", "compress",
    "decompress", "user", "password", "role", "quota_key", "client_protocol_version", "buffer_size",
    "wait_end_of_query", "close_session", "stacktrace", "enable_http_compression", "http_zlib_compression_level",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close",
    "http_native_compression_disable_checksumming_on_decompress", "add_http_cors_header",
    "http_write_exception_in_output_format",
    "http_response_headers", "http_make_head_request", "http_max_field_value_size",
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
    is_compression_enabled: bool = False
    has_native_compression: bool = False
    has_native_decompression: bool = False
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
        query_id=given.get("query_id") or str(uuid.uuid4()),
        database=given.get("database") or headers.get("x-clickhouse-database", ""),
        default_format=format_name(given.get("default_format") or headers.get("x-clickhouse-format", "")),
        session_id=given.get("session_id", ""),
        session_timeout_s=_timeout(given.get("session_timeout", "60")),
        session_check=given.get("session_check") == "1",
        is_waiting_for_end=given.get("wait_end_of_query") == "1",
        is_compression_enabled=given.get("enable_http_compression") in ("1", "true"),
        has_native_compression=given.get("compress") in ("1", "true"),
        has_native_decompression=given.get("decompress") in ("1", "true"),
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


def _timeout(text: str) -> int:
    if not text.isdigit() or int(text) > 3600:
        message = f"Invalid session timeout: '{text}', expected whole seconds up to 3600"
        raise ClickHouseError(374, "INVALID_SESSION_TIMEOUT", message)
    return int(text)
