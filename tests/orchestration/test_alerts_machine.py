"""What an alert becomes, whatever happens in whatever order: against drawn histories, and rule by rule.

A history is looks at a world that changes: alerts come, go and worsen, hours stay incomplete, the watermark is lost,
somebody silences and acknowledges, and a look is thrown away half done (a killed process: the step was never written).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.lib.alerts.machine import INCOMPLETE, Rule, acknowledge, advance
from orchestration.lib.alerts.model import Facts, Group, Kind, Life, Signal, State, Step, Timing
from tests.orchestration.alerts_support import NOON, minutes, signal

TIMING = Timing(
    resolve_after=timedelta(minutes=5),
    remind_after=timedelta(hours=1),
    update_after=timedelta(minutes=10),
    worse_at=2.0,
)
RULE = Rule(lambda _: TIMING)


@dataclass
class World:
    """A group and what people were told of it; `look` is one tick that may be killed before it writes."""

    group: Group = field(default_factory=lambda: Group("burn_page", "acme"))
    told: list[tuple[Kind, Step]] = field(default_factory=list)
    rule: Rule = RULE
    last: tuple[Life, ...] = ()

    def look(
        self,
        at_minute: float,
        *signals: Signal,
        complete_to: datetime | None = None,
        is_known: bool = True,
        silenced: frozenset[str] = frozenset(),
        is_killed: bool = False,
    ) -> Kind | None:
        now, self.last = minutes(at_minute), ()
        facts = Facts(now, (complete_to or now) if is_known else None, now)
        step = advance(
            self.group, signals, facts, self.rule, lambda one: "silence x" if one.subject in silenced else ""
        )
        if step is None or is_killed:
            return None
        if step.kind is not None:
            self.told.append((step.kind, step))
        self.last = step.group.lives
        self.group = step.group.settled(step.kind)
        return step.kind

    def life(self, subject: str = "openai_succeeds") -> Life:
        (found,) = [life for life in self.group.lives if life.signal.subject == subject]
        return found

    @property
    def kinds(self) -> list[Kind]:
        return [kind for kind, _ in self.told]


LOOKS = st.lists(
    st.fixed_dictionaries(
        {
            "pass_minutes": st.sampled_from([0, 1, 3, 7, 61]),
            "subjects": st.dictionaries(
                st.sampled_from("abc"), st.tuples(st.sampled_from([15.0, 20.0, 31.0, 90.0]), st.booleans()), max_size=3
            ),
            "silenced": st.frozensets(st.sampled_from("abc"), max_size=2),
            "lags_minutes": st.sampled_from([0, 0, 0, 4, None]),
            "acknowledges": st.booleans(),
            "is_killed": st.sampled_from([False, False, False, True]),
        }
    ),
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(LOOKS)
def test_whatever_happens_nothing_is_lost_and_nothing_is_told_twice(looks: list[dict[str, object]]) -> None:
    world, at = World(), 0.0
    for look in looks:
        at += float(str(look["pass_minutes"]))
        lag = look["lags_minutes"]
        subjects: dict[str, tuple[float, bool]] = look["subjects"]  # type: ignore[assignment]
        silenced: frozenset[str] = look["silenced"]  # type: ignore[assignment]
        known_to = minutes(at - float(str(lag or 0)))
        shown = [
            signal(subject=name, value=value, severity="page" if is_page else "ticket", until=known_to)
            for name, (value, is_page) in subjects.items()
        ]
        before, heard = world.group, len(world.told)
        kind = world.look(
            at, *shown, complete_to=known_to, is_known=lag is not None, silenced=silenced,
            is_killed=bool(look["is_killed"]),
        )  # fmt: skip
        if look["is_killed"]:
            assert world.group is before
            continue
        check_the_step(before, world, kind)
        check_that_nothing_waits_untold(world, shown, silenced, is_known=lag is not None)
        # The same look again, as by a process that started anew: nothing more is said, nothing is logged.
        after = world.group
        again = world.look(at, *shown, complete_to=known_to, is_known=lag is not None, silenced=silenced)
        assert again is None or (again is Kind.RESOLVED and not world.group.thread), "told twice for one state"
        assert len(world.told) - heard <= 1 + (again is not None)
        assert again is not None or world.group == after
        if look["acknowledges"] and (acknowledged := acknowledge(world.group, "me", "")) is not None:
            world.group = acknowledged.group.settled(None)
    check_that_threads_alternate(world)


def check_the_step(before: Group, world: World, kind: Kind | None) -> None:
    after = world.group
    assert after.step in (before.step, before.step + 1)
    if kind is Kind.FIRING:
        assert not before.thread
        assert after.thread
    if kind is Kind.RESOLVED:
        assert before.thread
        assert not after.thread
        assert all(life.told_at is None for life in after.lives)
    if kind in (Kind.WORSENED, Kind.REMINDER):
        assert before.thread == after.thread != ""
    silenced = {life.key for life in (*before.lives, *world.last) if life.waits_for}
    for life in world.last:
        assert life.change != "resolved" or life.told_at is not None or life.key in silenced, "came and went unheard"
    if kind is Kind.REMINDER:
        assert before.told_at is not None
        assert any(life.state is State.FIRING for life in before.lives)


def check_that_nothing_waits_untold(
    world: World, shown: list[Signal], silenced: frozenset[str], *, is_known: bool
) -> None:
    """An alert that holds, is complete and is not silenced has been told, or will be when the update is due."""
    if not is_known:
        return
    lives = {life.key: life for life in world.group.lives if life.is_open}
    for one in shown:
        life = lives[one.dedup_key]
        if one.subject in silenced:
            continue
        assert life.has_fired
        assert life.told_at is not None or world.group.thread, "fires and nobody knows"


def check_that_threads_alternate(world: World) -> None:
    """A thread begins with firing, ends with resolved, and another begins only then; every message has a new step."""
    is_open, steps = False, []
    for kind, step in world.told:
        assert (kind is Kind.FIRING) is not is_open
        is_open = kind is not Kind.RESOLVED
        steps.append(step.group.step)
    assert steps == sorted(set(steps))


def test_an_alert_is_told_once_and_its_end_once() -> None:
    world = World()
    for minute in range(3):
        world.look(minute, signal(until=minutes(minute)))
    for minute in range(3, 12):
        world.look(minute)
    assert world.kinds == [Kind.FIRING, Kind.RESOLVED]
    assert world.group.lives == ()
    assert world.told[-1][1].group.lives[0].ended_at == minutes(3)


def test_a_gap_shorter_than_the_wait_is_neither_an_end_nor_a_beginning() -> None:
    world = World()
    world.look(0, signal())
    world.look(2)
    assert world.life().quiet_since == minutes(2)
    world.look(6, signal(until=minutes(6)))
    world.look(8)
    world.look(12)
    assert world.kinds == [Kind.FIRING]
    world.look(13)
    assert world.kinds == [Kind.FIRING, Kind.RESOLVED]


def test_while_the_watermark_stands_still_or_is_lost_nothing_ends_and_nothing_begins() -> None:
    world = World()
    world.look(0, signal())
    for minute in (10, 20, 30):
        world.look(minute, complete_to=NOON - timedelta(minutes=1))
        world.look(minute, is_known=False)
    assert world.kinds == [Kind.FIRING]
    assert world.life().quiet_since is None
    late = signal(subject="later", until=minutes(31))
    world.look(31, late, complete_to=minutes(1))
    assert world.life("later").waits_for == INCOMPLETE
    assert world.life("later").state is State.PENDING
    world.look(32, late, complete_to=minutes(31))
    assert world.kinds[-1] is Kind.WORSENED


def test_a_rule_by_the_wall_clock_fires_and_ends_whatever_the_watermark_says() -> None:
    world = World(rule=Rule(lambda _: TIMING, is_by_clock=True))
    assert world.look(0, signal(until=minutes(0)), is_known=False) is Kind.FIRING
    world.look(1, is_known=False)
    assert world.look(6, is_known=False) is Kind.RESOLVED


def test_it_worsens_at_twice_what_was_told_and_not_sooner_than_the_wait() -> None:
    world = World()
    world.look(0, signal(value=20))
    assert world.look(3, signal(value=41)) is None
    assert world.look(10, signal(value=41)) is Kind.WORSENED
    assert world.look(21, signal(value=20)) is None
    assert world.look(22, signal(value=41)) is None
    assert world.life().told_badness == 41


def test_another_threshold_is_not_worse() -> None:
    """The fast pair of windows let go, the slow one has not: the burn is what it was, its limit is lower."""
    world = World()
    world.look(0, signal(value=40, threshold=14.4))
    assert world.look(20, signal(value=40, threshold=6, until=minutes(20))) is None


def test_a_page_does_not_wait_behind_a_ticket() -> None:
    world = World()
    world.look(0, signal(severity="ticket"))
    assert world.look(1, signal(severity="page")) is Kind.WORSENED
    assert world.told[-1][1].severity == "page"


def test_fifty_subjects_are_one_message_and_the_next_ones_one_more() -> None:
    world = World()
    world.look(0, *(signal(subject=f"s{number}") for number in range(50)))
    assert world.kinds == [Kind.FIRING]
    more = [signal(subject=f"s{number}") for number in range(60)]
    for minute in range(1, 10):
        assert world.look(minute, *more) is None
    assert world.look(10, *more) is Kind.WORSENED
    assert world.look(11, *more) is None


def test_what_began_and_ended_between_two_messages_is_told_at_last() -> None:
    world = World(rule=Rule(lambda _: replace(TIMING, resolve_after=timedelta())))
    world.look(0, signal())
    world.look(1, signal(), signal(subject="short"))
    assert world.look(2, signal()) is Kind.WORSENED
    assert {life.signal.subject: life.is_open for life in world.told[-1][1].group.lives} == {
        "openai_succeeds": True, "short": False,
    }  # fmt: skip


def test_reminders_come_after_the_hour_and_not_where_somebody_has_acknowledged() -> None:
    world = World()
    world.look(0, signal())
    assert world.look(59, signal(until=minutes(59))) is None
    assert world.look(60, signal(until=minutes(60))) is Kind.REMINDER
    step = acknowledge(world.group, "ada", "looking")
    assert step is not None
    world.group = step.group.settled(None)
    assert world.look(200, signal(until=minutes(200))) is None
    assert world.life().acknowledged_by == "ada"
    # What is known now is not what was acknowledged.
    assert world.look(201, signal(value=60, until=minutes(201))) is Kind.WORSENED
    assert world.look(262, signal(value=60, until=minutes(262))) is Kind.REMINDER


def test_what_is_silenced_is_told_when_the_silence_ends_and_not_when_it_ended_before() -> None:
    quiet = frozenset({"openai_succeeds"})
    world = World()
    world.look(0, signal(), silenced=quiet)
    assert world.life().waits_for == "silence x"
    assert world.look(30, signal(until=minutes(30))) is Kind.FIRING
    over = World()
    over.look(0, signal(), silenced=quiet)
    over.look(1, silenced=quiet)
    over.look(7, silenced=quiet)
    assert over.kinds == []
    assert over.group.lives == ()


def test_the_end_of_what_was_told_is_told_in_spite_of_a_silence() -> None:
    world = World()
    world.look(0, signal())
    quiet = frozenset({"openai_succeeds"})
    world.look(61, signal(until=minutes(61)), silenced=quiet)
    world.look(62, silenced=quiet)
    world.look(68, silenced=quiet)
    assert world.kinds == [Kind.FIRING, Kind.RESOLVED]


def test_a_signal_that_has_not_held_long_enough_waits_and_passes_unheard() -> None:
    world = World(rule=Rule(lambda _: replace(TIMING, hold=timedelta(minutes=15))))
    world.look(10, signal(until=minutes(10)))
    assert world.life().state is State.PENDING
    world.look(12)
    assert (world.kinds, world.group.lives) == ([], ())
    world.look(14, signal(until=minutes(14)))
    assert world.look(15, signal(until=minutes(15))) is Kind.FIRING
