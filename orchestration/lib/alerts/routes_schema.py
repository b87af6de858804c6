"""What may stand in alert_routes.yaml, key by key; docs/alerting.md shows each. An unknown key is a mistake."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from orchestration.lib.alerts.model import Timing

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(value: object) -> timedelta:
    """30s, 15m, 1h, 2d, or several as 1h30m; never negative."""
    text = str(value)
    if not re.fullmatch(r"(\d{1,6}[smhd])+", text):
        raise ValueError("expected a time such as 30s, 15m, 1h or 2d")
    return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", text)))


def _or_never(value: object) -> object:
    return None if value == "never" else duration(value)


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _variable(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,80}", value):
        raise ValueError(
            "expected the name of an environment variable, such as ALERTS_SLACK_URL: a secret itself never stands here"
        )
    return value


def _day(value: object) -> str:
    day = str(value).strip().lower()[:3]
    if day not in WEEKDAYS:
        raise ValueError(f"expected days such as {', '.join(WEEKDAYS)}")
    return day


Duration = Annotated[timedelta, BeforeValidator(duration)]
DurationOrNever = Annotated[timedelta | None, BeforeValidator(_or_never)]
Variable = Annotated[str, BeforeValidator(_variable)]
Patterns = Annotated[list[str], BeforeValidator(_one_or_several), Field(min_length=1)]
Names = Annotated[list[str], BeforeValidator(_one_or_several)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Channel(_Strict):
    timeout: Duration = timedelta(seconds=10)


class SlackChannel(_Channel):
    """An incoming webhook of Slack; the address is the secret."""

    url_env: Variable


class WebhookChannel(_Channel):
    """Any HTTP receiver; the body is signed with the secret (docs/alerting.md says how to check)."""

    url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    url_env: Variable | None = None
    secret_env: Variable

    @model_validator(mode="after")
    def _has_one_address(self) -> "WebhookChannel":
        if (self.url_env is None) == (self.url is None):
            raise ValueError("expected either url or url_env")
        return self


class EmailChannel(_Channel):
    """Mail by SMTP. `security`: starttls, tls, or none (within one machine)."""

    smtp: str = Field(pattern=r"^[A-Za-z0-9.\-\[\]:]+:\d{1,5}$")
    sender: str = Field(alias="from", pattern=r"^[^\s@]+@[^\s@]+$")
    to: Annotated[list[str], BeforeValidator(_one_or_several), Field(min_length=1)]
    security: Literal["starttls", "tls", "none"] = "starttls"
    user_env: Variable | None = None
    password_env: Variable | None = None


class PagerDutyChannel(_Channel):
    """PagerDuty's events, by apprise; incidents are opened and closed by the thread's key."""

    integration_key_env: Variable
    region: Literal["us", "eu"] = "us"


class AppriseChannel(_Channel):
    """Any service apprise knows; the address, with its secrets, is in the variable."""

    url_env: Variable


AnyChannel = SlackChannel | WebhookChannel | EmailChannel | PagerDutyChannel | AppriseChannel
CHANNELS: Final[Mapping[str, type[AnyChannel]]] = {
    "slack": SlackChannel,
    "webhook": WebhookChannel,
    "email": EmailChannel,
    "pagerduty": PagerDutyChannel,
    "apprise": AppriseChannel,
}


class LinksFile(_Strict):
    """What is put before paths so that a message has links. `docs`: before docs/runbooks/…; `dagster`: its UI; `query`:
    an address that ends where the SQL begins, URL-encoded (`auto`: of the ClickHouse in use)."""

    docs: str = ""
    dagster: str = ""
    query: str = "auto"


class DeliveryFile(_Strict):
    """How hard a message is tried. After `escalate_after`, or at once when refused, `fallback` gets a copy as well."""

    first_retry: Duration = timedelta(seconds=10)
    longest_retry: Duration = timedelta(minutes=10)
    escalate_after: Duration = timedelta(minutes=5)
    give_up_after: Duration = timedelta(days=1)


class TimingFile(_Strict):
    """See Timing; what is not given stays."""

    hold: Duration | None = None
    resolve_after: Duration | None = None
    remind_after: DurationOrNever = None
    update_after: Duration | None = None
    worse_at: Annotated[float, Field(gt=1)] | Literal["never"] | None = None

    def over(self, timing: Timing) -> Timing:
        """`timing` with what stands here instead."""
        given = self.model_fields_set & {"hold", "resolve_after", "remind_after", "update_after"}
        timing = replace(timing, **{name: getattr(self, name) for name in given})
        if self.worse_at is not None:
            timing = replace(timing, worse_at=None if self.worse_at == "never" else float(self.worse_at))
        return timing


class RuleFile(TimingFile):
    """A rule of its own timing. `judged_by: clock` where it holds by the wall clock, not by the watermark."""

    judged_by: Literal["data", "clock"] = "data"
    owner: str = ""


class MatchFile(_Strict):
    """Patterns, each one or several; all that are given must fit."""

    rule: Patterns = Field(default_factory=list)
    workspace: Patterns = Field(default_factory=list)
    subject: Patterns = Field(default_factory=list)
    severity: Patterns = Field(default_factory=list)
    owner: Patterns = Field(default_factory=list)


class TimingsFile(_Strict):
    """By severity."""

    page: TimingFile = Field(default_factory=TimingFile)
    ticket: TimingFile = Field(default_factory=TimingFile)
    notice: TimingFile = Field(default_factory=TimingFile)

    def of(self, severity: str) -> TimingFile:
        """That of a severity."""
        return {"page": self.page, "ticket": self.ticket, "notice": self.notice}[severity]


class RouteFile(_Strict):
    """One route."""

    match: MatchFile = Field(default_factory=MatchFile)
    to: Annotated[list[str], BeforeValidator(_one_or_several), Field(min_length=1)]
    goes_on: bool = Field(default=False, alias="continue")


class MaintenanceFile(_Strict):
    """One window: from and to; or days, at and for."""

    name: str = Field(min_length=1)
    match: MatchFile = Field(default_factory=MatchFile)
    timezone: str = "UTC"
    start: datetime | None = Field(default=None, alias="from")
    end: datetime | None = Field(default=None, alias="to")
    days: Annotated[list[Annotated[str, BeforeValidator(_day)]], BeforeValidator(_one_or_several)] = Field(
        default_factory=list
    )
    at: time | None = None
    long: Duration | None = Field(default=None, alias="for")

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            raise ValueError("expected a time zone such as UTC or Europe/Berlin") from None
        return name


class RoutesFile(_Strict):
    """The file without its channels, which are read by kind."""

    version: Literal[1]
    deliver_in: Annotated[list[Literal["dev", "staging", "prod"]], BeforeValidator(_one_or_several)]
    links: LinksFile = Field(default_factory=LinksFile)
    delivery: DeliveryFile = Field(default_factory=DeliveryFile)
    routes: list[RouteFile] = Field(min_length=1)
    fallback: Names = Field(min_length=1)
    timing: TimingsFile = Field(default_factory=TimingsFile)
    rules: dict[str, RuleFile] = Field(default_factory=dict)
    maintenance: list[MaintenanceFile] = Field(default_factory=list)
