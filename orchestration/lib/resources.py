"""What assets, checks and sensors are given: the settings with a client, and the time.

Both read the environment when they are used, never when they are defined, so loading the definitions needs no secret
and no service. In tests: `MeterhouseResource.of(settings)` and `Clock(at="2026-11-20T12:00:00+00:00")`, one a tick.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from pydantic import Field

from ingest.embedded.stack import environment
from ingest.settings import Settings, load_settings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class MeterhouseResource(ConfigurableResource[None]):
    """Settings and a client of ClickHouse. `variables` are METERHOUSE_* variables that win over the environment's."""

    variables: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "MeterhouseResource":
        """Bound to these settings. For tests and programs: Dagster shows a resource's configuration to who may look."""
        return cls(variables=environment(settings))

    @property
    def settings(self) -> Settings:
        """Read and checked anew each time; a wrong variable raises SettingsError."""
        return load_settings(
            **{name.removeprefix("METERHOUSE_").lower(): value for name, value in self.variables.items()}
        )

    @contextmanager
    def client(self, *, request_timeout_s: float | None = None) -> "Iterator[Client]":
        """A client with limits on every call, closed at the end. Raises MeterhouseError where nobody answers."""
        from ingest.warehouse import connect

        settings = self.settings
        client = connect(
            settings.clickhouse,
            connect_timeout_s=settings.clickhouse_connect_timeout_s,
            request_timeout_s=request_timeout_s or settings.clickhouse_request_timeout_s,
        )
        try:
            yield client
        finally:
            client.close()


class Clock(ConfigurableResource[None]):
    """The time. `at` (ISO 8601 with an offset) stops it there."""

    at: str | None = None

    def now(self) -> datetime:
        """Now, in UTC."""
        return datetime.now(UTC) if self.at is None else datetime.fromisoformat(self.at).astimezone(UTC)
