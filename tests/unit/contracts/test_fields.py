"""The table, the struct and the limits are one contract."""

from typing import get_args

import msgspec
import pytest

from ingest.contracts import fields as f
from ingest.contracts.agent_event import AgentEvent, EventType, Status
from ingest.contracts.outcome import EventLimits


def test_the_struct_has_exactly_the_tables_fields_in_its_order() -> None:
    assert AgentEvent.__struct_fields__ == tuple(field.name for field in f.FIELDS)
    required = {field.name for field in msgspec.structs.fields(AgentEvent) if field.required}
    assert required == {field.name for field in f.FIELDS if field.is_required}


def test_the_structs_choices_and_limits_are_the_tables() -> None:
    assert get_args(EventType) == f.EVENT_TYPES
    assert get_args(Status) == ("", *f.STATUSES)
    struct = msgspec.inspect.type_info(AgentEvent)
    assert isinstance(struct, msgspec.inspect.StructType)
    for field, has in zip(f.FIELDS, struct.fields, strict=True):
        if field.kind in ("text", "tokens", "milliseconds"):
            assert isinstance(has.type, msgspec.inspect.UnionType)
            match has.type.types[0]:
                case msgspec.inspect.StrType(max_length=limit):
                    assert limit == field.max_chars, field.name
                case msgspec.inspect.IntType(ge=0, le=limit) | msgspec.inspect.FloatType(ge=0, le=limit):
                    assert limit == field.maximum, field.name
                case other:
                    pytest.fail(f"{field.name} is {other}")


def test_parts_and_wholes_are_token_fields_of_the_table() -> None:
    assert {f.BY_NAME[name].kind for parts, whole in f.PARTS for name in (*parts, whole)} == {"tokens"}


@pytest.mark.parametrize(
    "wrong", [{"max_age_ms": -1}, {"context_depth": 0}, {"context_depth": 33}, {"context_bytes": 1}]
)
def test_limits_that_nothing_could_satisfy_are_refused_at_the_start(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"limits|context_depth"):
        EventLimits(**wrong)
