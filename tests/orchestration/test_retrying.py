"""What is tried again, and what ends: as Dagster itself runs a step."""

from collections.abc import Callable

import pytest
from dagster import AssetExecutionContext, DagsterInstance, ExecuteInProcessResult, Failure, asset, materialize
from dagster._core.errors import DagsterExecutionInterruptedError

from orchestration.definitions import definitions
from orchestration.lib.retrying import tried_again


def run(body: Callable[[int], None]) -> tuple[int, ExecuteInProcessResult]:
    """How often the step began, and how its run ended; `body` is given the number of the try, from 0."""
    began = []

    @asset
    def step(context: AssetExecutionContext) -> None:
        with tried_again(context, times=2, first_wait_s=0):
            began.append(1)
            body(context.op_execution_context.retry_number)

    result = materialize([step], instance=DagsterInstance.ephemeral(), raise_on_error=False)
    return len(began), result


def test_what_fails_is_tried_again_until_it_goes_well() -> None:
    def body(number: int) -> None:
        if number < 2:
            raise ConnectionError("the engine is away")

    began, result = run(body)
    assert (began, result.success) == (3, True)


def test_what_fails_each_time_fails_with_its_own_words() -> None:
    def body(_: int) -> None:
        raise ConnectionError("the engine is away")

    began, result = run(body)
    assert (began, result.success) == (3, False)
    (failed,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "the engine is away" in str(failed.step_failure_data.error)


def test_what_says_that_it_would_fail_again_is_not_tried_again() -> None:
    def body(_: int) -> None:
        raise Failure("a check that stops what stands on it", allow_retries=False)

    began, result = run(body)
    assert (began, result.success) == (1, False)


@pytest.mark.parametrize("interrupt", [DagsterExecutionInterruptedError, KeyboardInterrupt])
def test_a_step_that_is_told_to_end_does_not_begin_anew(interrupt: type[BaseException]) -> None:
    # With Dagster's own policy a run whose server had been killed built on, beside the one that took its place.
    began = []

    @asset
    def step(context: AssetExecutionContext) -> None:
        with tried_again(context, times=2, first_wait_s=0):
            began.append(1)
            raise interrupt

    with pytest.raises(interrupt):
        materialize([step], instance=DagsterInstance.ephemeral())
    assert len(began) == 1


def test_no_step_of_ours_leaves_it_to_dagster_s_policy_which_begins_anew_what_is_told_to_end() -> None:
    repository = definitions.get_repository_def()
    steps = [node for name in repository.job_names for node in repository.get_job(name).all_node_defs]
    assert len({node.name for node in steps}) > 5
    assert [node.name for node in steps if getattr(node, "retry_policy", None) is not None] == []
