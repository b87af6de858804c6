"""Rooms behind `ingest` join the stack by name, and can be left out by it."""

import pytest

from ingest.errors import MeterhouseError
from ingest.plugins import call_ready, check_rooms, further_parts
from ingest.settings import load_settings


def test_a_room_that_is_left_out_brings_no_parts_and_does_nothing_when_the_stack_is_ready() -> None:
    from rich.console import Console

    settings = load_settings(dagster_port=1)  # nobody answers there: whoever asked would raise
    assert [part.name for part in further_parts(settings)] == ["dagster-code", "dagster-webserver", "dagster-daemon"]
    assert further_parts(settings, ["dagster"]) == []
    call_ready(settings, Console(), ["dagster"])
    with pytest.raises(MeterhouseError, match="did not answer"):
        call_ready(settings, Console())


def test_a_name_that_no_room_has_is_refused_with_those_there_are() -> None:
    check_rooms(["dagster"])
    with pytest.raises(MeterhouseError, match=r"no part 'dragster'.*there is: dagster"):
        check_rooms(["dragster"])
