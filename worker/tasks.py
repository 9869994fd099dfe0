"""The functions that RQ calls by name, one per step.

A step that is to be retried gets a due time of ours instead of an RQ retry: RQ's scheduler can
stall for minutes after a crash, which is longer than a result lives.
"""

import contextlib
import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.batches.batch import BatchId
from core.errors import Permanent, StorageUnavailable, StoreUnavailable, Transient
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.status import STEP_STATUSES, Step
from core.log import event
from core.redis.change import Change
from core.scheduling import circuit_breakers
from worker.deps import Deps
from worker.runtime import wiring
from worker.steps import batches
from worker.steps.account import check_account
from worker.steps.callbacks.progress import progress as _progress
from worker.steps.callbacks.test_event import send_test_event
from worker.steps.cleanup import cleanup as _cleanup
from worker.steps.collect import collect as _collect
from worker.steps.notify import notify as _notify
from worker.steps.poll import poll as _poll
from worker.steps.submit import submit as _submit

_log = logging.getLogger(__name__)

#: Unexpected errors of one step after which the job, or only its callback, is given up.
_MAX_CRASHES: Final = 10
_LONGEST_PROBLEM: Final = 300  # characters of the problem that a job shows


def submit(job_id: str) -> None:
    """Run the submit step."""
    run(Step.SUBMIT, _submit, JobId(job_id), wiring.deps())


def poll(job_id: str) -> None:
    """Run the poll step."""
    run(Step.POLL, _poll, JobId(job_id), wiring.deps())


def collect(job_id: str) -> None:
    """Run the collect step."""
    run(Step.COLLECT, _collect, JobId(job_id), wiring.deps())


def notify(job_id: str) -> None:
    """Run the notify step."""
    run(Step.NOTIFY, _notify, JobId(job_id), wiring.deps())


def progress(job_id: str) -> None:
    """Run the progress step."""
    run(Step.PROGRESS, _progress, JobId(job_id), wiring.deps())


def test_callback(test_id: str) -> None:
    """Send a sample event."""
    send_test_event(test_id, wiring.deps())


def cleanup(job_id: str) -> None:
    """Run the cleanup step."""
    run(Step.CLEANUP, _cleanup, JobId(job_id), wiring.deps())


def results(batch_id: str) -> None:
    """Run the results step of a batch."""
    batches.run(Step.RESULTS, batches.write_results, BatchId(batch_id), wiring.deps())


def announce(batch_id: str) -> None:
    """Run the announce step of a batch."""
    batches.run(Step.ANNOUNCE, batches.announce, BatchId(batch_id), wiring.deps())


def account(name: str) -> None:
    """Run the account step."""
    deps = wiring.deps()
    try:
        check_account(name, deps)
    except Transient as error:  # its lease makes it due again
        event(_log, "account.unknown", logging.WARNING, account=name, reason=str(error))


def run(step: Step, function: Callable[[JobId, Deps], None], job_id: JobId, deps: Deps) -> None:
    """Run a step and handle its errors.

    If Redis is unreachable there is nothing to do: the step's lease is in Redis, and `sweep` starts
    the step again. Unexpected errors are counted and raised, so that RQ records the traceback.
    """
    try:
        function(job_id, deps)
    except StoreUnavailable as error:
        event(_log, "step.failed", logging.ERROR, job_id=job_id, step=step, reason=str(error))
    except Transient as error:
        _schedule_retry(step, job_id, error, deps)
    except Permanent as error:
        deps.store.fail(job_id, error.code, str(error), was=STEP_STATUSES[step])
    except Exception:
        with contextlib.suppress(StoreUnavailable):  # its lease makes it due again
            _handle_crash(step, job_id, deps)
        raise


def _handle_crash(step: Step, job_id: JobId, deps: Deps) -> None:
    """Limit how often a step may crash, so that its job ends all the same.

    Only single fields are read: parsing the record may be what crashes the step.
    """
    field = f"tries:crash:{step}"
    known, expires_at, link = deps.store.fields(job_id, field, "result_expires_at", "link_seconds")
    crashes, life = int(known or 0), float(link or deps.settings.result_lifetime_seconds)
    event(_log, "step.crashed", logging.ERROR, job_id=job_id, step=step, crashes=crashes + 1)
    if crashes + 1 >= _MAX_CRASHES and _give_up(step, job_id, {field: known}, expires_at, deps):
        return
    wait = _limit_wait(step, deps.wait(crashes), float(expires_at or 0) - deps.clock(), life)
    due = {step: deps.clock() + wait}
    deps.store.change(job_id, STEP_STATUSES[step], Change(due=due, add={field: 1}))


def _limit_wait(step: Step, wait: float, left: float, life: float) -> float:
    """Shorten a wait that would outlast the result's URL.

    Args:
        step: The step that is postponed.
        wait: Seconds it would wait otherwise.
        left: Seconds until the result's URL expires; 0 or less if it has, or is unknown.
        life: Seconds that such a URL lives.
    """
    if step is Step.COLLECT and left > 0:  # near the end, retries become more frequent
        return min(wait, max(0.1, left / 4))
    if step is Step.POLL:  # whatever `Retry-After` says: the result may expire
        return min(wait, life / 4)
    return wait


def _give_up(
    step: Step, job_id: JobId, counted: Mapping[str, str], expires_at: str, deps: Deps
) -> bool:
    """Give up the job or the callback; False if it has to live, or another run was faster."""
    message = "This {} was given up after repeated internal errors of FluxRelay"
    if step is Step.PROGRESS:  # the job is well; only this news is not told
        change = Change(expect=counted, done=[step], clear=list(counted))
        return deps.store.change(job_id, STEP_STATUSES[step], change)
    if step is Step.NOTIFY:
        why = message.format("callback")
        return deps.store.give_up_callback(job_id, why, deps.clock(), counted)
    # An image that is paid for is not given up while its link is valid.
    if step is Step.COLLECT and deps.clock() < float(expires_at or 0):
        return False
    why = message.format("job")
    return deps.store.fail(job_id, FailureCode.LOST, why, was=STEP_STATUSES[step])


def _schedule_retry(step: Step, job_id: JobId, error: Transient, deps: Deps) -> None:
    try:
        job = deps.store.load(job_id)
        tries = job.tries.get(step, 0) if job else 0
        left = ((job and job.result_expires_at) or 0) - deps.clock()
        life = deps.link_seconds(job) if job else math.inf
        wait = _limit_wait(step, max(deps.wait(tries), error.retry_after or 0.0), left, life)
        if step is Step.COLLECT and job and left <= 0:
            # Only the bucket is still missing; its wait ends with the deadline.
            wait = min(wait, max(0.1, job.request.deadline_at - deps.clock()))
        if job is None and step is Step.CLEANUP:  # only the inputs exist
            deps.store.guard_inputs(job_id, deps.clock() + wait)
        # Failing to delete inputs, or to look for an image after its URL has expired, does not mean
        # that images cannot be stored.
        counts = isinstance(error, StorageUnavailable) and step is not Step.CLEANUP
        counts = counts and (step is not Step.COLLECT or left > 0)
        change = Change(
            **_waiting_fields(step, job, error, deps),
            due={step: deps.clock() + wait},
            add={f"tries:{step}": 1},
            failed={circuit_breakers.STORAGE: str(error)} if counts else {},
        )
        deps.store.change(job_id, STEP_STATUSES[step], change)
    except StoreUnavailable:
        wait = None
    event(
        _log,
        "step.put_off",
        logging.WARNING,
        job_id=job_id,
        step=step,
        reason=str(error),
        wait_seconds=wait,
    )


def _waiting_fields(step: Step, job: Job | None, error: Transient, deps: Deps) -> dict[str, Any]:
    """Return fields that record what the image waits for, for the job view and its error."""
    if step is not Step.COLLECT or job is None:
        return {}
    storage, now = isinstance(error, StorageUnavailable), deps.clock()
    cause = "storage" if storage else "result"
    before = job.waiting if job.waiting and job.waiting["for"] == cause else {"since": now}
    waiting = {
        "for": cause,
        "since": before["since"],
        "last_problem": str(error)[:_LONGEST_PROBLEM],
    }
    told = {"waiting": json.dumps(waiting)}
    if now >= (job.result_expires_at or 0):
        return {"set": told}  # the link has expired, so the cause of the failure no longer changes
    if storage:
        return {"set": told | {"storage_trouble": str(error)}}
    return {"set": told, "clear": ["storage_trouble"]}
