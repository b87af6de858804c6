"""The sensors: each looks, records what follows in ops.alert_log, says what it saw in numbers, moves its cursor last.

None starts a run, and all but alert_delivery send nothing: a slow receiver never holds up who judges. Every state is
in the log, so a tick may be repeated, or killed anywhere; the cursor only holds what the next tick compares with.
"""

from collections.abc import Callable, Mapping
from typing import Final

from dagster import SensorDefinition, SensorEvaluationContext, SkipReason, sensor

from ingest.settings import Settings
from ingest.warehouse import WarehouseUnavailableError
from orchestration.lib.alerts import runs, staleness, unreachable
from orchestration.lib.alerts.delivery import send_past_the_log
from orchestration.lib.alerts.engine import SENSOR_RULES, Judged, judge, look, observation_of, postman
from orchestration.lib.alerts.notice import Notice
from orchestration.lib.alerts.observe import Observation, completeness
from orchestration.lib.alerts.routes import Routes, dry_run_reason, load_routes
from orchestration.lib.alerts.runs import failed_runs
from orchestration.lib.alerts.staleness import stale_tables
from orchestration.lib.alerts.store import Store
from orchestration.lib.environments import sensor_status
from orchestration.lib.families import family_of
from orchestration.lib.resources import Clock, MeterhouseResource

# Which rules of marts.alerts_current each sensor judges; slo_breach judges every other one, also those that somebody
# adds as a model.
RULES: Final[Mapping[str, frozenset[str]]] = {
    "budget": frozenset({"budget_hard", "budget_soft"}),
    "spend_anomaly": frozenset({"spend_anomaly", "cost_per_minute", "unpriced_share"}),
    "ingestion_stalled": frozenset({"pipeline_behind", "no_events"}),
    "dead_letters": frozenset({"dead_letter_share"}),
}
_NAMED: Final = frozenset(SENSOR_RULES).union(*RULES.values())
EVERY_S: Final = 30
DELIVER_EVERY_S: Final = 15
# A tick ends well before Dagster's own limit of a minute.
DELIVERY_BUDGET_S: Final = 20.0


def _is_slo(rule_id: str) -> bool:
    return rule_id not in _NAMED


def _looking(name: str, description: str, is_judged: Callable[[str], bool]) -> SensorDefinition:
    """A sensor over the rules of alerts_current that it judges."""

    @sensor(name=name, description=description, minimum_interval_seconds=EVERY_S, default_status=sensor_status(name))
    def looks(context: SensorEvaluationContext, meterhouse: MeterhouseResource, clock: Clock) -> SkipReason:
        settings = meterhouse.settings
        with meterhouse.client() as client:
            judged = look(Store(client, settings), settings, load_routes(settings.alert_routes), clock.now(), is_judged)
        return _said(context, judged)

    return looks


def _said(context: SensorEvaluationContext, judged: Judged) -> SkipReason:
    judged_at = judged.facts.judged_at.isoformat() if judged.facts.judged_at else ""
    rebuilt = "" if judged_at != context.cursor or not judged_at else "; the models were not built since the last tick"
    context.update_cursor(judged_at)
    return SkipReason(judged.say() + rebuilt)


slo_breach = _looking(
    "slo_breach",
    "Burn of objectives, error rates, latency, tools, new errors, and every rule added as a model.",
    _is_slo,
)
budget = _looking("budget", "Budgets that are overspent.", RULES["budget"].__contains__)
spend_anomaly = _looking(
    "spend_anomaly", "Days, minutes and calls whose cost is not as usual.", RULES["spend_anomaly"].__contains__
)
dead_letters = _looking("dead_letters", "Messages that are refused too often.", RULES["dead_letters"].__contains__)


@sensor(
    name="ingestion_stalled",
    description="A pipeline that is behind, producers that fell silent, and a ClickHouse that does not answer.",
    minimum_interval_seconds=EVERY_S,
    default_status=sensor_status("ingestion_stalled"),
)
def ingestion_stalled(context: SensorEvaluationContext, meterhouse: MeterhouseResource, clock: Clock) -> SkipReason:
    settings, now = meterhouse.settings, clock.now()
    routes, memory, problem, said = load_routes(settings.alert_routes), unreachable.remember(context.cursor), "", ""
    try:
        with meterhouse.client() as client:
            store = Store(client, settings)
            judged = look(store, settings, routes, now, RULES["ingestion_stalled"].__contains__)
            said = f"{judged.say()}; {completeness(store, now)}"
    except WarehouseUnavailableError as error:
        problem = str(error)
    memory, words = unreachable.after_tick(memory, now, problem, routes, _past_the_log(settings, routes))
    context.update_cursor(unreachable.cursor_of(memory))
    return SkipReason("; ".join(one for one in (said, words) if one))


def _past_the_log(settings: Settings, routes: Routes) -> Callable[[str, Notice, str], None]:
    """Sends at once; in a dry run it only says so, in the log."""
    reason = dry_run_reason(routes, settings.environment)
    return lambda name, notice, key: send_past_the_log(routes, name, notice, key, reason)


@sensor(
    name="asset_freshness",
    description="Tables that are older than their family allows, by the completeness watermark.",
    minimum_interval_seconds=EVERY_S,
    default_status=sensor_status("asset_freshness"),
)
def asset_freshness(context: SensorEvaluationContext, meterhouse: MeterhouseResource, clock: Clock) -> SkipReason:
    from orchestration.defs.dbt.assets import PROJECT

    families = {node.name: family_of(node).value for node in PROJECT.nodes.values()}
    with meterhouse.client() as client:
        store = Store(client, meterhouse.settings)
        found = stale_tables(store, clock.now(), families)
        observation = observation_of(found.signals, clock.now(), found.stale)
        return _judged_now(context, store, meterhouse.settings, observation, staleness.RULE, found.say())


@sensor(
    name="run_failure",
    description="Jobs whose last run failed, whatever failed in it.",
    minimum_interval_seconds=EVERY_S,
    default_status=sensor_status("run_failure"),
)
def run_failure(context: SensorEvaluationContext, meterhouse: MeterhouseResource, clock: Clock) -> SkipReason:
    found = failed_runs(context.instance, clock.now())
    said = f"{len(found.signals)} of {found.jobs} jobs that failed in seven days have not succeeded since"
    with meterhouse.client() as client:
        store = Store(client, meterhouse.settings)
        observation = observation_of(found.signals, clock.now(), found.newest)
        return _judged_now(context, store, meterhouse.settings, observation, runs.RULE, said)


def _judged_now(
    context: SensorEvaluationContext,
    store: Store,
    settings: Settings,
    observation: Observation,
    rule_id: str,
    said: str,
) -> SkipReason:
    """Judges what the sensor saw by itself: all alerts of one rule, as they are now."""
    judged = judge(store, settings, load_routes(settings.alert_routes), observation, lambda one: one == rule_id)
    context.update_cursor(observation.facts.now.isoformat())
    return SkipReason(f"{said}; {judged.say()}")


@sensor(
    name="alert_delivery",
    description="Delivers what the other sensors decided, and tries again what was not taken.",
    minimum_interval_seconds=DELIVER_EVERY_S,
    default_status=sensor_status("alert_delivery"),
)
def alert_delivery(context: SensorEvaluationContext, meterhouse: MeterhouseResource, clock: Clock) -> SkipReason:
    settings = meterhouse.settings
    routes = load_routes(settings.alert_routes)
    with meterhouse.client() as client:
        store = Store(client, settings)
        delivered = postman(store, settings, routes).round(clock.now(), DELIVERY_BUDGET_S)
    context.update_cursor(clock.now().isoformat())
    dry = dry_run_reason(routes, settings.environment)
    return SkipReason(delivered.say() + (f"; {dry}" if dry else ""))


SENSORS: Final = [
    slo_breach,
    budget,
    spend_anomaly,
    ingestion_stalled,
    dead_letters,
    asset_freshness,
    run_failure,
    alert_delivery,
]
