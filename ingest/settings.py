"""Every setting, read once from METERHOUSE_* variables into one frozen, validated object.

A wrong one raises SettingsError with a sentence that names the variable, what was expected and what came. Secrets (the
ClickHouse password, Kafka's SASL password) never appear in that sentence, in repr() or in a log.
"""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from ingest.door_settings import DoorSettings
from ingest.errors import SettingsError

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Prefix = Annotated[str, Field(pattern=r"^[a-z0-9_]{0,40}$")]


class ClickHouseAddress:
    """Where ClickHouse's HTTP interface is and as whom to speak to it; taken apart from METERHOUSE_CLICKHOUSE_URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http://user:password@host:port or https://…")
        self.secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (8443 if self.secure else 8123)
        self.username = unquote(parts.username or "default")
        self.password = unquote(parts.password or "")

    @property
    def public(self) -> str:
        """The address without the password, for people and logs."""
        return f"{'https' if self.secure else 'http'}://{self.username}@{self.host}:{self.port}"


class Settings(DoorSettings):
    """One process's settings. Frozen; built by `load_settings`."""

    model_config = SettingsConfigDict(env_prefix="METERHOUSE_", frozen=True, extra="ignore")

    home: Path = Field(default=Path(".meterhouse"), description="Folder of the local state: data, logs, pids")
    environment: Literal["dev", "staging", "prod"] | None = Field(
        default=None,
        description="Which installation this is: Dagster starts its schedules and sensors by it and needs it set",
    )
    alert_routes: Path | None = Field(
        default=None, description="File that says who is told of alerts; unset means orchestration/alert_routes.yaml"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged")
    log_format: Literal["text", "json"] = Field(default="text", description="Log lines for people or for machines")

    clickhouse_url: SecretStr | None = Field(
        default=None,
        description="http://user:password@host:port of your ClickHouse; unset means the embedded engine",
    )
    embedded_clickhouse_port: int = Field(default=18123, ge=1, le=65535, description="Port of the embedded engine")
    clickhouse_cluster: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_.{}-]*$",
        description="Cluster name: tables become replicated, DDL runs ON CLUSTER",
    )
    clickhouse_connect_timeout_s: Seconds = Field(default=5.0, description="Longest wait for a connection")
    clickhouse_request_timeout_s: Seconds = Field(default=60.0, description="Longest wait for an answer to one request")
    database_prefix: Prefix = Field(
        default="", description="Put before every database name, for tests and shared servers"
    )
    retention_days: int = Field(
        default=90, ge=1, le=36_500, description="Days raw.agent_events and raw.otel_* keep a row after it landed"
    )

    models_prefix: Prefix = Field(
        default="",
        description="Put before the databases dbt builds in, after database_prefix: models of your own over shared raw",
    )
    dbt_target: Literal["embedded", "server", "cluster"] = Field(
        default="embedded", description="Which output of profiles/profiles.yml dbt builds with"
    )
    dbt_threads: int = Field(default=2, ge=1, le=64, description="Models dbt builds at the same time")
    build_wait_s: float = Field(
        default=900.0, ge=0, le=86_400, description="How long a build waits for another one of the same tables"
    )
    dbt_memory_bytes: int = Field(
        default=2_000_000_000, ge=100_000_000, description="Most memory one statement of a build may take in ClickHouse"
    )

    kafka_bootstrap: str | None = Field(
        default=None, description="host:port[,host:port] of your Kafka; unset means the embedded broker"
    )
    embedded_kafka_port: int = Field(default=19092, ge=1, le=65535, description="Port of the embedded broker")
    kafka_options: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        repr=False,
        description="Any librdkafka settings, as JSON or name=value,name=value (security.protocol, sasl.*, ssl.*, …)",
    )
    kafka_partitions: int = Field(default=3, ge=1, le=1000, description="Partitions of a topic that Meterhouse creates")
    kafka_replication: int = Field(default=1, ge=1, le=9, description="Replication of a topic that Meterhouse creates")
    topic_prefix: Prefix = Field(default="", description="Put before every topic name, for tests and shared brokers")
    consumer_group: str = Field(
        default="meterhouse-loader", min_length=1, max_length=200, description="Group of the loaders"
    )
    partition_assignor: Literal["range", "roundrobin", "cooperative-sticky"] = Field(
        default="range", description="Group assignor; the embedded broker needs an eager one"
    )

    agent_event_topics: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("agent_events",),
        min_length=1,
        description="Topics of canonical agent events, separated by commas; all land in raw.agent_events",
    )
    otlp_traces_topics: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("otlp_traces",),
        description="Topics of OTLP trace requests, separated by commas (a Collector's own default is otlp_spans); "
        "empty reads none",
    )
    otlp_logs_topics: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("otlp_logs",), description="Topics of OTLP log requests, separated by commas; empty reads none"
    )
    otlp_metrics_topics: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("otlp_metrics",), description="Topics of OTLP metric requests, separated by commas; empty reads none"
    )
    otlp_workspace: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._:-]{0,127})?$",
        description="Workspace of OTLP from a Collector whose resources name none; unset refuses such records",
    )
    otlp_max_bytes: int = Field(
        default=4 << 20, ge=1024, le=64 << 20, description="Largest OTLP export request landed, bytes"
    )
    event_max_bytes: int = Field(default=256 << 10, ge=1024, le=64 << 20, description="Largest event accepted, bytes")
    event_max_age_days: float = Field(default=45.0, gt=0, le=36_500, description="Oldest occurred_at accepted")
    event_max_future_s: Seconds = Field(default=900.0, description="Farthest occurred_at ahead of the clock accepted")

    batch_rows: int = Field(default=65_536, ge=1, le=1_000_000, description="Most events of one insert")
    batch_bytes: int = Field(
        default=32 << 20, ge=1024, le=512 << 20, description="Most bytes of messages of one insert"
    )
    batch_age_s: Seconds = Field(default=0.5, description="Longest wait of an event for its batch to fill")
    loader_processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes of one `meterhouse load`, each with buffers and a metrics port of its own; one decodes "
        "on one core, and more than there are partitions have nothing to do",
    )
    inserts_in_flight: int = Field(default=2, ge=1, le=32, description="Inserts that overlap with reading")
    buffer_bytes: int = Field(
        default=64 << 20,
        ge=1 << 20,
        le=8 << 30,
        description="Most bytes of messages held in memory; partitions pause above it",
    )
    max_reject_share: float = Field(
        default=0.2, gt=0, le=1, description="Share of refused events over the window below that stops the loader"
    )
    reject_window_events: int = Field(
        default=2_000, ge=1, le=10_000_000, description="Events over which the share of refused ones is judged"
    )
    retry_deadline_s: Seconds = Field(
        default=300.0, description="How long one insert is retried before the loader stops"
    )
    drain_deadline_s: Seconds = Field(
        default=30.0,
        description="How long a stopping loader may take: landing what it holds, leaving its group and closing",
    )
    progress_interval_s: Seconds = Field(default=5.0, description="How often ops.load_progress is rewritten")
    stall_dump_s: Seconds = Field(default=60.0, description="A loop that has not turned for so long dumps all stacks")
    metrics_host: str = Field(default="127.0.0.1", description="Address of /metrics, /healthz and /readyz")
    metrics_port: int = Field(default=19464, ge=0, le=65535, description="Port of the same; 0 takes a free one")

    dagster_port: int = Field(default=3000, ge=1, le=65535, description="Port of Dagster's page, on 127.0.0.1")
    dagster_code_port: int = Field(
        default=14000, ge=1, le=65535, description="Port of the process that holds Dagster's definitions, on 127.0.0.1"
    )

    @field_validator("clickhouse_url")
    @classmethod
    def _is_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            ClickHouseAddress(url.get_secret_value())
        return url

    @field_validator("kafka_bootstrap")
    @classmethod
    def _is_bootstrap(cls, servers: str | None) -> str | None:
        if servers is not None and not all(re.fullmatch(r"\s*\S+:\d{1,5}\s*", one) for one in servers.split(",")):
            raise ValueError("expected host:port, or several separated by commas")
        return servers

    @field_validator(
        "agent_event_topics", "otlp_traces_topics", "otlp_logs_topics", "otlp_metrics_topics", mode="before"
    )
    @classmethod
    def _split_topics(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        topics = tuple(name.strip() for name in value.split(",") if name.strip())
        if not all(re.fullmatch(r"[A-Za-z0-9._-]{1,200}", name) for name in topics):
            raise ValueError("expected topic names (letters, digits, . _ -) separated by commas")
        return topics

    @field_validator("kafka_options", mode="before")
    @classmethod
    def _parse_options(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        text = value.strip()
        if text.startswith("{"):
            parsed = json.loads(text)
            return {str(name): _option_text(setting) for name, setting in parsed.items()}
        pairs = [pair for pair in text.split(",") if pair.strip()]
        if any("=" not in pair for pair in pairs):
            raise ValueError("expected a JSON object or name=value pairs separated by commas")
        names_and_values = (pair.split("=", 1) for pair in pairs)
        return {name.strip(): value.strip() for name, value in names_and_values}

    @cached_property
    def clickhouse(self) -> ClickHouseAddress:
        """The address in use: the user's server, or the embedded engine on loopback."""
        if self.clickhouse_url is not None:
            return ClickHouseAddress(self.clickhouse_url.get_secret_value())
        return ClickHouseAddress(f"http://default@127.0.0.1:{self.embedded_clickhouse_port}")

    @cached_property
    def bootstrap(self) -> str:
        """The brokers in use: the user's, or the embedded one on loopback."""
        return self.kafka_bootstrap or f"127.0.0.1:{self.embedded_kafka_port}"

    @property
    def is_clickhouse_embedded(self) -> bool:
        return self.clickhouse_url is None

    @property
    def is_kafka_embedded(self) -> bool:
        return self.kafka_bootstrap is None

    def database(self, name: Literal["raw", "staging", "intermediate", "marts", "ops"]) -> str:
        """The database's name as it is on the server, prefix included."""
        return f"{self.database_prefix}{name}"

    def topic(self, name: str) -> str:
        """The topic's name as it is on the broker, prefix included."""
        return f"{self.topic_prefix}{name}"


def _option_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def load_settings(**overrides: object) -> Settings:
    """Reads the environment; `overrides` are the command line's options and win where they are not None.

    Raises SettingsError naming the first wrong variable.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks what mypy cannot
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "?"
        secret = field in ("clickhouse_url", "kafka_options")
        came = "" if secret else f", came {first['input']!r}"
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise SettingsError(f"METERHOUSE_{field.upper()} is wrong: {reason}{came}. Set it and start again.") from None
