"""The poll step: asks the provider for a result whose webhook is overdue or was never requested."""

from dataclasses import replace
from typing import Final

from core.errors import Transient
from core.jobs.failures import FailureCode, error_record
from core.jobs.job import Job, JobId
from core.jobs.status import Status, Step
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from worker.deps import Deps
from worker.results.provider_lookup import look_up_result
from worker.steps.poll_times import next_wait

_LAST_POLL_SECONDS: Final = 2.0  # seconds that the last poll may take past the deadline
#: Counts answers without a result. They are final after this many, over this many webhook-overdue
#: periods, so that a passing error does no harm.
_UNUSABLE: Final = "unusable"
_UNUSABLE_PERIODS: Final = 3
_UNUSABLE_TIMES: Final = 3


def poll(job_id: JobId, deps: Deps) -> None:
    """Ask once; handle the answer, or schedule the next poll.

    Raises:
        Transient: No host gave a usable answer.
    """
    job = deps.store.begin(Step.POLL, job_id)
    if job is None or job.task_status is not Status.GENERATING:
        return
    ends_at = deps.task_ends_at(job) if job.discarding else job.request.deadline_at
    try:
        # The last poll must not outlast the deadline by much.
        left = ends_at - deps.clock()
        notice = look_up_result(job, deps, within=max(_LAST_POLL_SECONDS, left))
    except Transient:
        if deps.clock() < ends_at:
            raise
        notice = Notice(kind=Kind.PENDING, status="")
    if notice.kind in (Kind.READY, Kind.FAILED):
        # An answer that names no task is about the one that was asked for.
        notice = replace(notice, provider_id=notice.provider_id or job.provider_id)
        if apply_notice(deps.store, job.id, notice, "poll"):
            return
        # The job has moved on, or this is about an abandoned task; the deadline still applies.
        notice = Notice(kind=Kind.PENDING, status="")
    now = deps.clock()
    if now >= ends_at:
        message = "The provider did not finish before the job's deadline"
        _end(job, FailureCode.TIMED_OUT, message, deps, hold=now < deps.task_ends_at(job))
    elif notice.kind is Kind.NOT_FOUND and now >= _not_found_final_at(job, deps):
        message = "None of the provider's hosts knows the task any more"
        _end(job, FailureCode.LOST, message, deps)
    elif notice.kind is Kind.UNUSABLE and _is_final(job, deps):
        # Later answers will be no better, and the job holds a slot.
        _end(job, FailureCode.PROVIDER_ERROR, notice.message, deps, provider_status=notice.status)
    else:
        _put_off(job, notice, deps)


def _end(
    job: Job, code: FailureCode, message: str, deps: Deps, *, hold: bool = False, **details: str
) -> None:
    """End the job for what was said of its task, unless another task has taken its place.

    With `hold`, the task may go on: it keeps the slot, and is asked about further.
    """
    change = Change(
        set={"error": error_record(code, message, **details)},
        expect=_same_task(job),
        hold=hold,
        due={Step.POLL: deps.clock() + next_wait(job, deps)} if hold else {},
    )
    deps.store.move(job.id, Status.FAILED, change, was=[Status.GENERATING])


def _same_task(job: Job) -> dict[str, str]:
    """Return what a job holds as long as its task is the one that was asked for."""
    return {"provider_id": job.provider_id or ""}


def _put_off(job: Job, notice: Notice, deps: Deps) -> None:
    wait = next_wait(job, deps)
    now, unusable = deps.clock(), notice.kind is Kind.UNUSABLE
    change = Change(
        expect=_same_task(job),
        set={"provider_id": job.provider_id or notice.provider_id}
        | ({"unusable_since": job.unusable_since or now} if unusable else {}),
        clear=() if unusable else ("unusable_since", f"tries:{_UNUSABLE}"),
        due={Step.POLL: now + wait},
        add={f"tries:{Step.POLL}": 1} | ({f"tries:{_UNUSABLE}": 1} if unusable else {}),
    )
    deps.store.change(job.id, {Status.GENERATING}, change)


def _is_final(job: Job, deps: Deps) -> bool:
    """Return whether answers without a result have come for long enough, and often enough."""
    since = deps.clock() if job.unusable_since is None else job.unusable_since
    for_long = deps.clock() - since >= _UNUSABLE_PERIODS * deps.settings.webhook_overdue_seconds
    return for_long and job.tries.get(_UNUSABLE, 0) >= _UNUSABLE_TIMES


def _not_found_final_at(job: Job, deps: Deps) -> float:
    """Return when "not found" is final: a usual result would have expired by then as well.

    A video's link may live for hours. But its slot, one of few, is not held for as long for a task
    that no host knows.
    """
    life = min(deps.link_seconds(job), deps.settings.result_lifetime_seconds)
    return job.timeline[-1][1] + life + deps.settings.webhook_overdue_seconds
