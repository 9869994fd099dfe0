"""Asks the provider for a task's result, on every host that may have it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from core.errors import Transient
from core.jobs.job import Job
from core.provider.wire_format import Kind, Notice
from worker.clients.provider import ProviderClient
from worker.deps import Deps

#: Answers after which no other host is asked.
_DECISIVE: Final = (Kind.READY, Kind.FAILED, Kind.PENDING)
_ENDS: Final = (Kind.READY, Kind.FAILED)
_ANOTHER: Final = "The provider answered with another task than the one that was asked for"
#: Seconds that each host gets at least.
_MIN_SECONDS: Final = 1.0
#: If hosts disagree, the later kind in this tuple wins.
_PRECEDENCE: Final = (Kind.NOT_FOUND, Kind.UNCLEAR, Kind.UNUSABLE)


def look_up_result(
    job: Job,
    deps: Deps,
    alive: Callable[[], None] | None = None,
    within: float | None = None,
) -> Notice:
    """Ask the host that has the task, then all other hosts: tasks are regional.

    Args:
        job: The task's job.
        deps: The step's dependencies.
        alive: Called before each request, to renew the caller's lease.
        within: Seconds for all hosts together; each host gets at least one second.

    Raises:
        Transient: No host gave an answer, or one that may know the task gave none.
    """
    provider = deps.provider(job)
    answer: Notice | None = None
    problem: Transient | None = None
    over_at = deps.clock() + (within or 0.0)
    for url in _urls(job, provider, deps):
        if alive:
            alive()
        left = None if within is None else max(_MIN_SECONDS, over_at - deps.clock())
        try:
            notice = provider.result(url, left, job.link_seconds)
        except Transient as error:
            problem = error
            continue
        if _is_about_another(job, notice):
            notice = replace(notice, kind=Kind.UNUSABLE, url=None, message=_ANOTHER)
        if notice.kind in _DECISIVE:
            return notice
        if answer is None or _PRECEDENCE.index(notice.kind) > _PRECEDENCE.index(answer.kind):
            answer = notice
    if answer and answer.kind is not Kind.NOT_FOUND and answer.status:
        return answer  # this host knows the task, so the others do not
    if problem or answer is None:
        # "Not found" proves nothing as long as one host gives no answer.
        raise problem or Transient("no host to ask")
    return answer


def _is_about_another(job: Job, notice: Notice) -> bool:
    """Return whether a result is that of another task than the job's.

    After a repeated submit the job may have two tasks; either one's image is right.
    """
    known = job.provider_id and notice.provider_id and not job.resubmits
    return bool(known) and notice.provider_id != job.provider_id and notice.kind in _ENDS


def _urls(job: Job, provider: ProviderClient, deps: Deps) -> Iterator[str]:
    """Yield the URLs to ask: the polling URL, then the account's own host, then its others.

    A regional account names hosts of its region only, so a pinned job never leaves the region.
    """
    if job.polling_url and provider.may_poll(job.polling_url):
        yield job.polling_url
    if job.provider_id:
        yield provider.result_url(job.provider_id)
        account = next((a for a in deps.settings.accounts if a.name == job.pool), None)
        for base_url in account.poll_urls if account else ():
            yield provider.result_url(job.provider_id, base_url)
