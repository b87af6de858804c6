"""Which runs have not ended, so that a tick does not start beside them what they do already.

In: an instance, names of jobs. Out: words for people, one a run; none where everything has ended.
"""

from pathlib import Path
from typing import Final

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from orchestration.first_build import TAG as FIRST_BUILD_TAG
from orchestration.serve import NOTHING_BUILT

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
    if instance.root_directory and (Path(instance.root_directory) / NOTHING_BUILT).exists():
        return ["the first build, which `meterhouse up` is about to start"]
    filters = [RunsFilter(job_name=job, statuses=UNFINISHED) for job in jobs]
    filters.append(RunsFilter(tags={FIRST_BUILD_TAG: "true"}, statuses=UNFINISHED))
    found = {run.run_id: run.job_name for one in filters for run in instance.get_runs(one, limit=5)}
    return [f"{job} {run_id[:8]}" for run_id, job in found.items()]
