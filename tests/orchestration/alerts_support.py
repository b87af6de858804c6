"""A house for the tests of alerts: marts made from the models' YAML and filled by hand, and receivers on loopback.

No dbt: what the sensors read is small, and a test says itself what stands in it.
"""

import contextlib
import http.server
import json
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from clickhouse_connect.driver.client import Client

from ingest.building.properties import read_models
from ingest.schema.engines import Layout
from ingest.schema.migrate import migrate
from ingest.settings import Settings, load_settings
from ingest.warehouse import connect
from orchestration.lib.alerts.channels import ChannelError
from orchestration.lib.alerts.model import Signal
from orchestration.lib.alerts.notice import Notice
from orchestration.lib.alerts.places import EPOCH
from tests.conftest import drop_databases
from tests.support.shared import Engine

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MARTS = (
    "alerts_current", "alert_evaluations", "slo_clock", "slo_burn", "slo_5m", "slo_traffic_5m", "agent_metrics_1m",
    "llm_hourly", "error_breakdown_daily", "tool_reliability", "agent_health_daily", "workspace_cost_daily",
    "budget_spent_daily", "unpriced_usage",
    "pipeline_health", "cost_by_agent_daily",
)  # fmt: skip


def minutes(number: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=number)


def signal(
    rule_id: str = "burn_page",
    workspace_id: str = "acme",
    subject: str = "openai_succeeds",
    *,
    severity: str = "page",
    value: float = 20.0,
    threshold: float = 14.4,
    since: datetime = NOON,
    until: datetime = NOON,
) -> Signal:
    key = f"{rule_id}/{workspace_id}/{subject}"
    runbook = f"docs/runbooks/{rule_id}.md"
    return Signal(rule_id, severity, workspace_id, subject, value, threshold, since, until, runbook, key)


@dataclass
class House:
    """Databases of a test's own. `shows` is what a build would have left there."""

    client: Client
    settings: Settings

    @classmethod
    def built(cls, client: Client, settings: Settings) -> "House":
        """Migrated, with empty marts; tables have no keys, as nobody asks them for much."""
        migrate(client, Layout(settings.database_prefix, "", settings.retention_days))
        for database in ("marts", "intermediate"):
            client.command(f"create database if not exists {settings.database_prefix}{database}")
        files = {file.stem: file for file in (ROOT / "models").glob("**/*.yml")}
        for mart in MARTS:
            (model,) = [model for model in read_models(files[mart]) if model.name == mart]
            columns = ", ".join(f"`{one.name}` {one.data_type}" for one in model.columns)
            client.command(
                f"create table {settings.database_prefix}marts.{mart} ({columns}) engine = MergeTree order by ()"
            )
        client.command(
            f"create table {settings.database_prefix}intermediate.slo_objectives (id String, indicator String, "
            "agent String, model String, tool_name String, threshold Nullable(Float64)) engine = MergeTree order by ()"
        )
        return cls(client, settings)

    @staticmethod
    def root() -> Path:
        return ROOT

    def forget(self) -> None:
        """As before anything was seen."""
        ops = [f"ops.{table}" for table in ("alert_log", "alert_messages", "alert_deliveries", "alert_silences")]
        for table in [*ops, *(f"marts.{mart}" for mart in MARTS), "intermediate.slo_objectives"]:
            self.client.command(f"truncate table {self.table(table)} sync")

    def environment(self) -> dict[str, str]:
        """For a command that reads its settings itself."""
        url = self.settings.clickhouse_url
        assert url is not None
        return {
            "METERHOUSE_CLICKHOUSE_URL": url.get_secret_value(),
            "METERHOUSE_DATABASE_PREFIX": self.settings.database_prefix,
        }

    def table(self, name: str) -> str:
        return f"{self.settings.database_prefix}{name}"

    def put(self, table: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Adds rows to `marts.x`; times as text."""
        lines = "\n".join(json.dumps(row, default=str) for row in rows)
        self.client.raw_insert(
            self.table(table),
            insert_block=BytesIO(lines.encode()),
            fmt="JSONEachRow",
            settings={"date_time_input_format": "best_effort"},
        )

    def shows(
        self,
        *signals: Signal,
        complete_to: datetime | None,
        judged_at: datetime | None = None,
        also_judged: Iterable[str] = (),
    ) -> None:
        """The alerts that hold, and how far the build judged their rules and those that are named."""
        for mart in ("alerts_current", "alert_evaluations", "slo_clock"):
            self.client.command(f"truncate table {self.table('marts')}.{mart}")
        judged_at = judged_at or complete_to
        self.put("marts.slo_clock", [{
            "as_of": _text(complete_to or EPOCH), "judged_at": _text(judged_at or NOON),
            "has_loader": True, "is_unknown": complete_to is None, "behind_s": 0, "lag_messages": 0,
            "is_loader_silent": False,
        }])  # fmt: skip
        rules = {"burn_page", "pipeline_behind", *(one.rule_id for one in signals), *also_judged}
        as_of = _text(complete_to or EPOCH)
        self.put(
            "marts.alert_evaluations",
            ({"rule_id": rule, "evaluated_at": "2026-11-23 10:00:00", "as_of": as_of} for rule in rules),
        )
        rows = [
            {name: _text(value) if isinstance(value, datetime) else value for name, value in _fields(one).items()}
            for one in signals
        ]
        if rows:
            self.put("marts.alerts_current", rows)

    def log(self, columns: str, where: str = "1") -> list[tuple[object, ...]]:
        """Rows of ops.alert_log in their order."""
        order = "rule_id, workspace_id, step, subject"
        query = f"select {columns} from {self.table('ops')}.alert_log where {where} order by {order}"
        return [tuple(row) for row in self.client.query(query).result_rows]


def _fields(one: Signal) -> dict[str, object]:
    return {name: getattr(one, name) for name in Signal.__dataclass_fields__}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


@dataclass
class Recorder:
    """A channel that keeps what it gets; it fails with the errors put into `failures`, first come first served."""

    got: list[tuple[str, Notice, bool]] = field(default_factory=list)
    failures: list[ChannelError] = field(default_factory=list)

    def send(self, notice: Notice, key: str, *, may_be_second: bool) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.got.append((key, notice, may_be_second))

    @property
    def kinds(self) -> list[str]:
        return [notice.kind for _, notice, _ in self.got]


@dataclass(frozen=True)
class Request:
    """What a receiver got."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server on loopback: answers with the statuses put into `answers`, then with 200."""

    url: str
    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.requests.append(Request(self.path, dict(self.headers.items()), body))
            status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
            self.send_response(status)
            for name, value in {"Content-Length": "2", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.contextmanager
def own_house(engine: Engine, home: Path) -> Iterator[House]:
    """A house under a prefix of its own; its databases go with the block."""
    settings = load_settings(home=home, clickhouse_url=engine.url, database_prefix=f"t{uuid.uuid4().hex[:10]}_")
    client = connect(settings.clickhouse, connect_timeout_s=5, request_timeout_s=60)
    yield House.built(client, settings)
    drop_databases(settings)
    client.close()
