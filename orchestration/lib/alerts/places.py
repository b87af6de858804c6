"""Names of databases and tables the alerts read and write, and times as ClickHouse gives and takes them."""

from datetime import UTC, datetime
from typing import Final

from ingest.settings import Settings

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Places:
    """Quoted databases of one installation. What dbt builds may have a further prefix."""

    def __init__(self, settings: Settings) -> None:
        self.ops = f"`{settings.database('ops')}`"
        built = f"{settings.database_prefix}{settings.models_prefix}"
        self.marts = f"`{built}marts`"
        self.intermediate = f"`{built}intermediate`"


def utc(value: object) -> datetime:
    """A DateTime('UTC') of the client, which is aware or not by its version and settings."""
    assert isinstance(value, datetime), f"a time expected, came {value!r}"
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def maybe_utc(value: object) -> datetime | None:
    return None if value is None else utc(value)


def known_utc(value: object) -> datetime | None:
    """As `utc`; the epoch stands for "not known"."""
    at = utc(value)
    return None if at <= EPOCH else at


def sql_time(at: datetime | None) -> str | None:
    """As ClickHouse reads it, in UTC, milliseconds."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
