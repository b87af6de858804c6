"""Who is told, and how: orchestration/alert_routes.yaml as one checked object.

In: a YAML file. Out: Routes. What is wrong raises RoutesError with file, line, key, what was expected and what came.
The file names environment variables and never holds a secret; whether they are set is asked when one is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestration.lib.alerts.located import Located, RoutesError, read
from orchestration.lib.alerts.machine import Rule
from orchestration.lib.alerts.matching import Maintenance, Matcher
from orchestration.lib.alerts.model import SEVERITIES, Timing
from orchestration.lib.alerts.routes_schema import (
    CHANNELS,
    WEEKDAYS,
    AnyChannel,
    DeliveryFile,
    LinksFile,
    MaintenanceFile,
    MatchFile,
    RouteFile,
    RoutesFile,
    RuleFile,
)

SHIPPED: Final = Path(__file__).parents[2] / "alert_routes.yaml"


@dataclass(frozen=True, slots=True)
class Route:
    """Messages that fit go to these channels; with `goes_on`, also by the routes after it."""

    matcher: Matcher
    channels: tuple[str, ...]
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Routes:
    """The whole file. `live_in`: environments in which messages leave the house; elsewhere each is a dry run."""

    source: str
    live_in: frozenset[str]
    links: LinksFile
    delivery: DeliveryFile
    channels: Mapping[str, AnyChannel]
    routes: tuple[Route, ...]
    fallback: tuple[str, ...]
    timing: Mapping[str, Timing]
    rules: Mapping[str, RuleFile]
    maintenance: tuple[Maintenance, ...]

    def rule(self, rule_id: str) -> Rule:
        """How a rule is told; one the file does not name is told as its severity is."""
        own = self.rules.get(rule_id, RuleFile())
        timings = {severity: own.over(self.timing[severity]) for severity in SEVERITIES}
        return Rule(lambda severity: timings.get(severity, timings["page"]), own.judged_by == "clock")

    def owner(self, rule_id: str) -> str:
        """Who owns the rule, where nothing nearer (an objective, a budget) has an owner."""
        return self.rules.get(rule_id, RuleFile()).owner

    def channels_for(self, *, rule: str, workspace: str, severity: str, owner: str) -> tuple[str, ...]:
        """Names of the channels, each once, in the order of the routes. Never empty: the last route fits all."""
        found: dict[str, None] = {}
        for route in self.routes:
            if route.matcher.fits(rule=rule, workspace=workspace, severity=severity, owner=owner):
                found.update(dict.fromkeys(route.channels))
                if not route.goes_on:
                    break
        return tuple(found)


def load_routes(path: Path | None = None) -> Routes:
    """The file at `path`, or the one that comes with the package."""
    file = path or SHIPPED
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RoutesError(f"{file}: a readable file of alert routes expected: {error}.") from error
    return parse(text, file.name)


def parse(text: str, source: str) -> Routes:
    """The text of such a file as Routes."""
    located = read(text, source)
    if not isinstance(located.data, dict):
        raise located.error((), "expected keys such as channels and routes. See docs/alerting.md.")
    data = dict(located.data)
    channels = _channels(located, data.pop("channels", None))
    try:
        parsed = RoutesFile.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = tuple(part for part in first["loc"])
        came = "" if first["type"] in _SAID or isinstance(first["input"], dict | list) else f", came {first['input']!r}"
        raise located.error(path, f"{_reason(first)}{came}. Correct the file.") from None
    _check_names(located, parsed, channels)
    return Routes(
        source=source,
        live_in=frozenset(parsed.deliver_in),
        links=parsed.links,
        delivery=parsed.delivery,
        channels=channels,
        routes=tuple(_route(route) for route in parsed.routes),
        fallback=tuple(parsed.fallback),
        timing={severity: parsed.timing.of(severity).over(default) for severity, default in _DEFAULTS.items()},
        rules=parsed.rules,
        maintenance=tuple(_window(located, number, one) for number, one in enumerate(parsed.maintenance)),
    )


_DEFAULTS: Final[Mapping[str, Timing]] = {
    "page": Timing(remind_after=timedelta(hours=1)),
    "ticket": Timing(remind_after=timedelta(days=1), update_after=timedelta(minutes=30)),
    "notice": Timing(update_after=timedelta(hours=1)),
}


def _channels(located: Located, data: object) -> dict[str, AnyChannel]:
    if not isinstance(data, dict) or not data:
        raise located.error(("channels",), "expected at least one channel, by name. See docs/alerting.md.")
    found: dict[str, AnyChannel] = {}
    for name, fields in data.items():
        path = ("channels", str(name))
        kind = fields.get("kind") if isinstance(fields, dict) else None
        if not isinstance(kind, str) or kind not in CHANNELS:
            raise located.error((*path, "kind"), f"expected one of {', '.join(CHANNELS)}. Correct the file.")
        try:
            found[str(name)] = CHANNELS[kind].model_validate({k: v for k, v in fields.items() if k != "kind"})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            # What came is not shown: it may be the secret itself.
            raise located.error((*path, *first["loc"]), f"{_reason(first)}. Correct the file.") from None
    return found


_SAID: Final = {"missing": "is missing", "extra_forbidden": "is no key of this place, see docs/alerting.md"}


def _reason(error: ErrorDetails) -> str:
    return _SAID.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")


def _check_names(located: Located, parsed: RoutesFile, channels: Mapping[str, AnyChannel]) -> None:
    named = [(("fallback", number), name) for number, name in enumerate(parsed.fallback)]
    for at, route in enumerate(parsed.routes):
        named += [(("routes", at, "to", number), name) for number, name in enumerate(route.to)]  # type: ignore[misc]
    for path, name in named:
        if name not in channels:
            raise located.error(path, f"no channel is called {name!r}; there are {', '.join(channels)}.")
    last = parsed.routes[-1]
    if not _matcher(last.match).is_everything:
        path = ("routes", len(parsed.routes) - 1)
        raise located.error(path, "the last route must fit everything (no match), or an alert could reach nobody.")
    for at, route in enumerate(parsed.routes[:-1]):
        if _matcher(route.match).is_everything and not route.goes_on:
            raise located.error(("routes", at), "fits everything, so no route after it is ever asked. Give it a match.")


def _matcher(match: MatchFile) -> Matcher:
    return Matcher(
        rule=tuple(match.rule),
        workspace=tuple(match.workspace),
        subject=tuple(match.subject),
        severity=tuple(match.severity),
        owner=tuple(match.owner),
    )


def _route(route: RouteFile) -> Route:
    return Route(_matcher(route.match), tuple(route.to), route.goes_on)


def _window(located: Located, number: int, one: MaintenanceFile) -> Maintenance:
    zone, path = ZoneInfo(one.timezone), ("maintenance", number)
    if one.start is not None and one.end is not None and not (one.days or one.at or one.long):
        start, end = (moment if moment.tzinfo else moment.replace(tzinfo=zone) for moment in (one.start, one.end))
        if start >= end:
            raise located.error((*path, "to"), "expected a moment after `from`. Correct the file.")
        return Maintenance(one.name, _matcher(one.match), zone, start=start, end=end)
    if one.at is None or not one.long or one.start or one.end:
        raise located.error(path, "expected either from and to, or days, at and for. Correct the file.")
    days = frozenset(WEEKDAYS.index(day) for day in one.days or WEEKDAYS)
    return Maintenance(one.name, _matcher(one.match), zone, weekdays=days, at=one.at, long=one.long)


def dry_run_reason(routes: Routes, environment: str | None) -> str:
    """Why nothing leaves the house, or nothing where it does."""
    if environment is not None and environment in routes.live_in:
        return ""
    where = f"METERHOUSE_ENVIRONMENT is {environment}" if environment else "METERHOUSE_ENVIRONMENT is not set"
    live = ", ".join(sorted(routes.live_in)) or "nowhere"
    return f"dry run: {where}, and {routes.source} delivers in {live}"
