"""What a bad day brings that no single rule is about: flapping, a receiver that fails for an hour, a clock set back."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from orchestration.lib.alerts.channels import ChannelError
from orchestration.lib.alerts.engine import evaluate
from orchestration.lib.alerts.notice import Notice
from orchestration.lib.alerts.outbox import Entry, Letter, Outcome, due
from orchestration.lib.alerts.routes import parse
from tests.orchestration.alerts_support import House, Recorder, minutes, own_house, signal
from tests.support.shared import Engine

ROUTES = parse(
    """
version: 1
deliver_in: [dev]
channels: {hook: {kind: webhook, url: "http://127.0.0.1:1/", secret_env: NONE}, spare: {kind: slack, url_env: NONE}}
routes: [{to: hook}]
fallback: spare
timing: {page: {remind_after: 1h, update_after: 5m, resolve_after: 5m, worse_at: 2}}
""",
    "test.yaml",
)


@dataclass
class Broken(Recorder):
    """Answers 500 until it is mended; `asked` counts every attempt."""

    is_broken: bool = True
    asked: int = 0
    took: list[str] = field(default_factory=list)

    def send(self, notice: Notice, key: str, *, may_be_second: bool) -> None:
        self.asked += 1
        if self.is_broken:
            raise ChannelError("HTTP 500")
        super().send(notice, key, may_be_second=may_be_second)


@pytest.fixture(scope="module")
def built(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with own_house(engine, tmp_path_factory.mktemp("hard")) as house:
        yield house


@pytest.fixture
def house(built: House) -> House:
    built.forget()
    return built


def look(house: House, at_minute: float, hook: Recorder, spare: Recorder | None = None) -> None:
    channels = {"hook": hook, "spare": spare or Recorder()}
    evaluate(house.client, house.settings, minutes(at_minute), channels, routes=ROUTES)


def test_an_alert_that_comes_and_goes_is_not_a_message_each_time(house: House) -> None:
    """It holds for five minutes in every twenty: called over at first, and later not before it stays away."""
    to = Recorder()
    for at_minute in range(0, 120, 5):
        shown = [signal(until=minutes(at_minute))] if at_minute % 20 == 0 else []
        house.shows(*shown, complete_to=minutes(at_minute))
        look(house, at_minute, to)
    assert to.kinds == ["firing", "resolved", "firing", "resolved", "firing", "reminder"]
    assert "It began 2 times shortly before" in to.got[4][1].remarks[0]
    for at_minute in (120, 125, 130):
        house.shows(complete_to=minutes(at_minute))
        look(house, at_minute, to)
    assert to.kinds[6:] == ["resolved"]


def test_a_receiver_that_fails_for_an_hour_gets_everything_in_order_and_somebody_else_hears_of_it_meanwhile(
    house: House,
) -> None:
    hook, spare = Broken(), Recorder()
    for at_minute in range(0, 90, 5):
        value = 20.0 if at_minute < 20 else 50.0
        shown = [signal(value=value, until=minutes(at_minute))] if at_minute < 40 else []
        house.shows(*shown, complete_to=minutes(at_minute))
        hook.is_broken = at_minute < 60
        look(house, at_minute, hook, spare)
    assert hook.kinds == ["firing", "worsened", "resolved"]
    # Five minutes after the first failure; later messages wait behind the first, and reach it as they are tried.
    assert spare.kinds[0] == "firing"
    assert "did not reach hook (HTTP 500)" in spare.got[0][1].remarks[0]
    assert len({key for key, _, _ in hook.got + spare.got}) == len(hook.got + spare.got)
    assert hook.asked < 20


def test_two_rules_of_one_workspace_and_a_page_that_becomes_a_ticket_are_told_apart(house: House) -> None:
    to = Recorder()
    page, ticket = signal(), signal(rule_id="burn_ticket", severity="ticket", threshold=3.0, value=4.0)
    house.shows(page, complete_to=minutes(0))
    look(house, 0, to)
    house.shows(ticket, complete_to=minutes(10), also_judged=["burn_ticket"])
    look(house, 10, to)
    for at_minute in (16, 22, 28):
        shown = [signal(rule_id="burn_ticket", severity="ticket", value=4.0, until=minutes(16))][: at_minute == 16]
        house.shows(*shown, complete_to=minutes(at_minute), also_judged=["burn_ticket"])
        look(house, at_minute, to)
    told = [(notice.rule_id, notice.kind, notice.severity) for _, notice, _ in to.got]
    assert told == [
        ("burn_page", "firing", "page"), ("burn_ticket", "firing", "ticket"), ("burn_page", "resolved", "page"),
        ("burn_ticket", "resolved", "ticket"),
    ]  # fmt: skip


def test_a_clock_that_is_set_back_neither_holds_a_message_up_nor_turns_a_thread_round(house: House) -> None:
    hook = Broken()
    house.shows(signal(), complete_to=minutes(0))
    look(house, 180, hook)
    # Three hours too late it was; the data goes on.
    house.shows(signal(value=50.0, until=minutes(5)), complete_to=minutes(5))
    look(house, 6, hook)
    hook.is_broken = False
    look(house, 7, hook)
    assert hook.kinds == ["firing", "worsened"]
    for at_minute in (10, 15):
        house.shows(complete_to=minutes(at_minute))
        look(house, at_minute, hook)
    assert hook.kinds == ["firing", "worsened", "resolved"]


def test_what_was_claimed_in_the_future_is_not_waited_for() -> None:
    ahead = Entry("m1", "a", 1, Outcome.CLAIMED, minutes(180))
    letter = Letter("m1", "t", minutes(180), ("a",), "{}", (ahead,), step=1)
    end = Letter("m2", "t", minutes(1), ("a",), "{}", (), step=2)
    (attempt,) = due([end, letter], minutes(2), {})
    assert (attempt.letter.message_id, attempt.number, attempt.may_be_second) == ("m1", 2, True)
    # Two machines' clocks are never the same.
    assert due([letter], minutes(179), {}) == []
