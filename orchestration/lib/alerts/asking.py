"""Asks marts for what a message says beyond the alert's own row; the questions are in details_*.py.

Asked by workspace and time, when a message is written. A mart that is missing or slow leaves a remark in the message,
and never keeps the message back.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.warehouse_errors import describe
from orchestration.lib.alerts.model import Signal
from orchestration.lib.alerts.store import Store

# A message waits for its figures so long and no longer; seconds, a statement.
_PATIENCE_S: Final = 3
Row = Mapping[str, object]


@dataclass(slots=True)
class Details:
    """Sentences of a message, and the nearest owner, empty where only the rule has one."""

    how_bad: list[str] = field(default_factory=list)
    hurts: list[str] = field(default_factory=list)
    contributors: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    owner: str = ""


class Asker:
    """Asks for one group. `signals` are those the message is about, the worst first; never empty."""

    def __init__(self, store: Store, signals: Sequence[Signal], until: datetime) -> None:
        self._store = store
        self._signals = signals
        self.worst = signals[0]
        self._until = until
        self._since = min(signal.since for signal in signals)
        self.found = Details()

    def ask(self, parts: "Iterable[Callable[[Asker], None]]") -> Details:
        """Everything there is to say, each part by itself."""
        for part in parts:
            try:
                part(self)
            except ClickHouseError as error:
                self.found.remarks.append(f"Figures are missing: ClickHouse answered {describe(error)}.")
                break
        return self.found

    def rows(self, query: str, **more: object) -> list[Row]:
        """`<marts>`, `<ops>` and `<intermediate>` are filled in; parameters are workspace, subject, subjects, since,
        until and what is given."""
        places = self._store.places
        for name, database in (("marts", places.marts), ("ops", places.ops), ("intermediate", places.intermediate)):
            query = query.replace(f"<{name}>", database)
        parameters = {
            "workspace": self.worst.workspace_id,
            "subject": self.worst.subject,
            "subjects": [signal.subject for signal in self._signals][:200],
            "since": self._since.replace(tzinfo=None),
            "until": self._until.replace(tzinfo=None),
            **more,
        }
        return self._store.rows(f"{query} settings max_execution_time = {_PATIENCE_S}", parameters)

    @property
    def recent(self) -> datetime:
        """From when calls count: an hour before it began, and no more than a day before now."""
        return max(self._since - timedelta(hours=1), self._until - timedelta(days=1)).replace(tzinfo=None)


def of(row: Row, column: str) -> float:
    """A number, also a Decimal; 0 where there is none."""
    value = row[column]
    return 0.0 if value is None else float(str(value))


def named(name: object, kind: str) -> str:
    return str(name) or f"(no {kind})"
