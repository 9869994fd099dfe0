"""The cleanup step: deletes the inputs of a job that has ended or was never accepted."""

from core.jobs.job import JobId
from core.jobs.status import TERMINAL, Step
from core.redis.change import Change
from core.storage.object_keys import INPUT_PREFIX
from worker.deps import Deps


def cleanup(job_id: JobId, deps: Deps) -> None:
    """Delete every object below the job's input prefix; safe to repeat.

    Raises:
        Transient: S3 is unreachable.
    """
    job = deps.store.begin(Step.CLEANUP, job_id)
    if job is not None and job.status not in TERMINAL:
        return
    deps.objects.delete_below(f"{INPUT_PREFIX}{job_id}/")
    if job is None:
        deps.store.unguard_inputs(job_id)
    else:
        deps.store.change(job_id, TERMINAL, Change(done=[Step.CLEANUP]))
