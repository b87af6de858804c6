"""Which questions a message about a rule asks: how bad it is, whom it hurts, and the three largest contributors."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from orchestration.lib.alerts import details_calls, details_money, details_pipeline
from orchestration.lib.alerts.asking import Asker, Details
from orchestration.lib.alerts.model import Signal
from orchestration.lib.alerts.rules import About, meaning
from orchestration.lib.alerts.store import Store


def details(store: Store, signals: Sequence[Signal], until: datetime) -> Details:
    """What there is to say of alerts of one group, the worst first, judged up to `until`."""
    return Asker(store, signals, until).ask(_PARTS[meaning(signals[0].rule_id).about])


_PARTS: Final[Mapping[About, Sequence[Callable[[Asker], None]]]] = {
    About.OBJECTIVE: (
        details_calls.budget_of_objective,
        details_calls.events_of_objective,
        details_calls.contributors_of_objective,
    ),
    About.CALLS: (details_calls.failing_calls,),
    About.NEW_ERRORS: (details_calls.new_errors,),
    About.COST: (details_money.owner_of_budget, details_money.month, details_money.spenders),
    About.BURST: (details_money.burst, details_money.month),
    About.UNPRICED: (details_money.unpriced,),
    About.TOOLS: (details_calls.failing_tools,),
    About.SILENCE: (details_pipeline.silent_agents,),
    About.DEAD_LETTERS: (details_pipeline.refusals,),
    About.PIPELINE: (details_pipeline.clock, details_pipeline.partitions),
    About.NOTHING: (),
}
