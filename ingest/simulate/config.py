"""What a simulation is asked for: one frozen, checked object. The same object gives the same bytes.

Times are epoch milliseconds in UTC. A wrong value raises SettingsError with a sentence.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from ingest.errors import SettingsError

IncidentKind = Literal["provider_outage", "slow_tool", "runaway_agent", "stopped_producer"]
INCIDENT_KINDS: tuple[IncidentKind, ...] = get_args(IncidentKind)
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_UNITS_MS = {"s": 1000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


@dataclass(frozen=True)
class IncidentRequest:
    """An incident to place: where `start_ms` is None, the seed decides when; where `subject` is '', whom it hits."""

    kind: IncidentKind
    start_ms: int | None = None
    duration_ms: int | None = None
    subject: str = ""


def parse_incident(text: str) -> IncidentRequest:
    """Reads `kind[:subject][@2026-11-23T10:00Z[/30m]]`; raises SettingsError naming what is wrong."""
    match = re.fullmatch(
        r"(?P<kind>\w+)(?::(?P<subject>[^@]+))?(?:@(?P<start>[^/]+)(?:/(?P<length>\d+)(?P<unit>[smhd]))?)?", text
    )
    if match is None or match["kind"] not in INCIDENT_KINDS:
        raise SettingsError(
            "--incident expects KIND[:SUBJECT][@START[/30m]] with KIND one of "
            f"{', '.join(INCIDENT_KINDS)}, came {text!r}."
        )
    kind = next(known for known in INCIDENT_KINDS if known == match["kind"])
    start_ms = parse_time(match["start"], "--incident") if match["start"] else None
    duration_ms = int(match["length"]) * _UNITS_MS[match["unit"]] if match["length"] else None
    return IncidentRequest(kind, start_ms, duration_ms, match["subject"] or "")


def parse_time(text: str, option: str) -> int:
    """Epoch ms of an RFC 3339 time; one without an offset is taken as UTC. Raises SettingsError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option} expects a time such as 2026-11-23T10:00Z, came {text!r}.") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def time_text(moment_ms: int) -> str:
    """A moment as RFC 3339 in UTC, to the second, or to the ms where it has any."""
    precision = "seconds" if moment_ms % 1000 == 0 else "milliseconds"
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec=precision).replace("+00:00", "Z")


@dataclass(frozen=True)
class SimulationConfig:
    """`events` counts distinct valid events; duplicates and malformed messages come on top, at their rates a valid
    event.
    """

    end_ms: int
    events: int = 200_000
    hours: float = 36.0
    seed: int = 7
    workspaces: int = 8
    duplicate_rate: float = 0.004
    correction_rate: float = 0.001
    late_rate: float = 0.01
    malformed_rate: float = 0.002
    extra_rate: float = 0.004
    """Share of valid events that carry unknown fields, or content that has to be dropped."""
    incidents: tuple[IncidentRequest, ...] = tuple(IncidentRequest(kind) for kind in INCIDENT_KINDS)

    def __post_init__(self) -> None:
        _expect(1 <= self.events <= 1_000_000_000, "--events", "1 to 1,000,000,000", self.events)
        _expect(0.001 <= self.hours <= 24 * 400, "--hours", "0.001 to 9,600", self.hours)
        _expect(1 <= self.workspaces <= 1000, "--workspaces", "1 to 1,000", self.workspaces)
        _expect(0 <= self.seed < 1 << 63, "--seed", "0 to 2**63 - 1", self.seed)
        for name in ("duplicate", "correction", "late", "malformed", "extra"):
            rate: float = getattr(self, f"{name}_rate")
            _expect(0 <= rate <= 0.5, f"--{name}-rate", "a share from 0 to 0.5", rate)
        for incident in self.incidents:
            if incident.start_ms is not None:
                inside = self.start_ms <= incident.start_ms < self.end_ms
                window = f"a start inside {time_text(self.start_ms)} to {time_text(self.end_ms)}"
                _expect(inside, f"--incident {incident.kind}", window, time_text(incident.start_ms))

    @property
    def start_ms(self) -> int:
        return self.end_ms - self.window_ms

    @property
    def window_ms(self) -> int:
        return round(self.hours * HOUR_MS)

    def without_faults(self) -> "SimulationConfig":
        """The same company with every message valid, once and on time."""
        return SimulationConfig(
            self.end_ms, self.events, self.hours, self.seed, self.workspaces, 0, 0, 0, 0, 0, self.incidents
        )


def _expect(is_right: bool, option: str, expected: str, came: object) -> None:
    if not is_right:
        raise SettingsError(f"{option} expects {expected}, came {came}.")
