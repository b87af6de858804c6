"""Steps that are tried again when they fail, and end when they are told to.

Dagster's RetryPolicy does both alike: a run that somebody terminates, or whose server was killed, begins its step anew
and builds on, beside the run that took its place.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from dagster import AssetExecutionContext, DagsterError, Failure, RetryRequested


@contextmanager
def tried_again(context: AssetExecutionContext, *, times: int, first_wait_s: float) -> Iterator[None]:
    """What fails within is tried again after `first_wait_s` seconds, then twice as many; a Failure that says so is not.

    An interrupt is no Exception, so it passes.
    """
    try:
        yield
    except (DagsterError, RetryRequested):
        raise
    except Exception as error:
        if isinstance(error, Failure) and not error.allow_retries:
            raise
        number = context.op_execution_context.retry_number
        raise RetryRequested(max_retries=times, seconds_to_wait=first_wait_s * 2**number) from error
