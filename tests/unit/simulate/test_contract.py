"""What the simulator says of each message, the contract says too; neither knows the other, so each checks the other."""

import pytest

from ingest.contracts.check import judge
from ingest.contracts.outcome import ERROR_CLASSES, Accepted, EventLimits, Refused
from ingest.simulate.flaws import DEFECTS, FLAWS
from tests.unit.simulate.reading import END_MS, Played

BY_NAME = {flaw.name: flaw for flaw in FLAWS}
Verdicts = dict[str, list[Accepted | Refused]]


@pytest.fixture(scope="module")
def verdicts(played: Played) -> Verdicts:
    """What the contract answers, by the flaw's name ('' for plain events)."""
    found: Verdicts = {}
    for message in played.messages:
        verdict = judge(message.value, judged_at_ms=END_MS, limits=EventLimits())
        found.setdefault(message.kind.partition(":")[2], []).append(verdict)
    return found


def test_every_plain_event_is_accepted_and_nothing_of_it_is_dropped_or_unknown(verdicts: Verdicts) -> None:
    for verdict in verdicts[""]:
        assert isinstance(verdict, Accepted), verdict
        assert not verdict.dropped
        assert not verdict.unknown


@pytest.mark.parametrize("flaw", FLAWS[1:], ids=lambda flaw: flaw.name)
def test_a_flaw_is_judged_as_it_claims(verdicts: Verdicts, flaw: object) -> None:
    name = getattr(flaw, "name", "")
    expected = BY_NAME[name].expected_class
    for verdict in verdicts[name]:
        came = verdict.error_class if isinstance(verdict, Refused) else ""
        assert came == expected, verdict


def test_content_and_identifiers_are_gone_and_counted_and_unknown_fields_are_kept(verdicts: Verdicts) -> None:
    personal = [
        name for name in verdicts if name.startswith(("content_at", "content_in", "content_as", "ident", "raw", "addr"))
    ]
    assert len(personal) == 7
    for name in personal:
        for verdict in verdicts[name]:
            assert isinstance(verdict, Accepted)
            assert verdict.dropped, name
            assert "PLACEHOLDER" not in repr(verdict.event)
            assert "example.invalid" not in repr(verdict.event)
    for verdict in verdicts["unknown_fields"]:
        assert isinstance(verdict, Accepted)
        assert set(verdict.unknown) == {"x_experiment", "gpu_ms", "x_flags"}
        assert b"variant-b" in bytes(verdict.event.context)


def test_the_defects_cover_every_error_class_of_the_contract() -> None:
    assert {flaw.expected_class for flaw in DEFECTS} == set(ERROR_CLASSES)
