"""The poll step: ask the provider for a result whose webhook is overdue, or was never asked for."""

from collections.abc import Iterator
from typing import Final

from core.bfl import Kind, Notice
from core.change import Change
from core.errors import Transient
from core.job import FailureCode, Job, JobId, Status, Step
from core.reception import receive
from worker.deps import Deps
from worker.provider import ProviderClient

_SLOWEST_POLL: Final = 15.0  # seconds between two polls of one job
_GROWTH: Final = 1.3
_MOST_GROWTHS: Final = 30


def poll(job_id: JobId, deps: Deps) -> None:
    """Ask once; act on what is said, or set the time to ask again.

    Raises:
        Transient: Nobody could say anything.
    """
    job = deps.store.begin(Step.POLL, job_id)
    if job is None or job.status is not Status.GENERATING:
        return
    try:
        notice = _ask(job, deps)
    except Transient:
        if deps.clock() < job.request.deadline_at:
            raise
        notice = Notice(kind=Kind.PENDING, status="")
    if notice.kind in (Kind.READY, Kind.FAILED):
        receive(deps.store, job.id, notice, "poll")
        return
    now = deps.clock()
    if now >= job.request.deadline_at:
        message = "The provider did not finish before the job's deadline"
        deps.store.fail(job.id, FailureCode.TIMED_OUT, message, was=[Status.GENERATING])
    elif notice.kind is Kind.NOT_FOUND and now >= _forgotten_at(job, deps):
        message = "The provider does not know the task (any more), on any host"
        deps.store.fail(job.id, FailureCode.LOST, message, was=[Status.GENERATING])
    else:
        tries = job.tries.get(Step.POLL, 0)
        wait = min(
            _SLOWEST_POLL,
            deps.settings.poll_interval_seconds * _GROWTH ** min(tries, _MOST_GROWTHS),
        )
        change = Change(due={Step.POLL: now + wait}, add={f"tries:{Step.POLL}": 1})
        deps.store.change(job.id, {Status.GENERATING}, change)


def _ask(job: Job, deps: Deps) -> Notice:
    """Ask the host that has the task, then all others: tasks are regional."""
    provider = deps.provider(job)
    answer: Notice | None = None
    problem: Transient | None = None
    for url in _urls(job, provider, deps):
        try:
            notice = provider.result(url)
        except Transient as error:
            problem = error
            continue
        if notice.kind not in (Kind.NOT_FOUND, Kind.UNCLEAR):
            return notice
        answer = notice
    if problem or answer is None:
        # As long as one host is silent, "not found" on the others proves nothing.
        raise problem or Transient("no host to ask")
    return answer


def _urls(job: Job, provider: ProviderClient, deps: Deps) -> Iterator[str]:
    """Yield where to ask: where the provider said, then the account's own host, then its others.

    An account of a region names hosts of that region only, so a pinned job never leaves it.
    """
    if job.polling_url:
        yield job.polling_url
    if job.provider_id:
        yield provider.result_url(job.provider_id)
        account = next((a for a in deps.settings.accounts if a.name == job.pool), None)
        for base_url in account.poll_urls if account else ():
            yield provider.result_url(job.provider_id, base_url)


def _forgotten_at(job: Job, deps: Deps) -> float:
    """Return when "not found" is final: the task's result would be dead by then as well."""
    since = job.timeline[-1][1]
    return since + deps.settings.result_lifetime_seconds + deps.settings.webhook_overdue_seconds
