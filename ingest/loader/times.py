"""Epoch milliseconds as ClickHouse reads a DateTime64(3, 'UTC') from JSON; a bare number would be taken for seconds."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def sql_time(ms: int | None) -> str | None:
    """`2026-11-23 09:30:00.250`; None stays None, and a time that no calendar has becomes the nearest one that has."""
    if ms is None:
        return None
    bounded = min(max(ms, 0), 9_000_000_000_000)
    return (_EPOCH + timedelta(milliseconds=bounded)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
