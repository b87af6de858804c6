"""Which runs have not ended, so that a tick does not start beside them what they do already.

In: an instance, names of jobs. Out: words for people, one a run; none where everything has ended.
"""

from pathlib import Path
from typing import Final

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from orchestration.first_build import TAG as FIRST_BUILD_TAG
from orchestration.serve import NOTHING_BUILT

_FIRST_BUILD: Final = {FIRST_BUILD_TAG: "true"}
UNFINISHED: Final = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def unfinished_runs(instance: DagsterInstance, *jobs: str) -> list[str]:
    """Runs that have not ended, as `job run-id`: of these jobs, and the first build of all.

    Before that one has ended, what a family stands on may not be there yet.
    """
    filters = [RunsFilter(job_name=job, statuses=UNFINISHED) for job in jobs]
    filters.append(RunsFilter(tags=_FIRST_BUILD, statuses=UNFINISHED))
    found = {run.run_id: run.job_name for one in filters for run in instance.get_runs(one, limit=5)}
    if not found and _is_nothing_built(instance):
        return ["the first build, which `meterhouse up` is about to start"]
    return [f"{job} {run_id[:8]}" for run_id, job in found.items()]


def _is_nothing_built(instance: DagsterInstance) -> bool:
    """Whether no first build has ended; one may have ended well after the `up` that waited for it was gone."""
    if not instance.root_directory or not (Path(instance.root_directory) / NOTHING_BUILT).exists():
        return False
    return not instance.get_runs(RunsFilter(tags=_FIRST_BUILD, statuses=[DagsterRunStatus.SUCCESS]), limit=1)
