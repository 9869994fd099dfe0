"""Asks the provider for a task's result, on every host that may have it."""

from collections.abc import Callable, Iterator
from typing import Final

from core.errors import Transient
from core.jobs.job import Job
from core.provider.wire_format import Kind, Notice
from worker.clients.provider import ProviderClient
from worker.deps import Deps

#: What settles it, so that no other host is asked.
_CLEAR: Final = (Kind.READY, Kind.FAILED, Kind.PENDING)
#: Seconds that each host is given, whatever time is left.
_LEAST: Final = 1.0
#: What is believed where hosts say different things: the later in this row.
_WEIGHT: Final = (Kind.NOT_FOUND, Kind.UNCLEAR, Kind.UNUSABLE)


def ask(
    job: Job,
    deps: Deps,
    alive: Callable[[], None] | None = None,
    within: float | None = None,
) -> Notice:
    """Ask the host that has the task, then all others: tasks are regional.

    Args:
        job: Whose task it is.
        deps: What the step works with.
        alive: Called before each host, so that the caller can show that it is alive.
        within: Seconds that all hosts together may take; a host that is left gets a second.

    Raises:
        Transient: Nobody could say anything, or one that may know more is silent.
    """
    provider = deps.provider(job)
    answer: Notice | None = None
    problem: Transient | None = None
    over_at = deps.clock() + (within or 0.0)
    for url in _urls(job, provider, deps):
        if alive:
            alive()
        left = None if within is None else max(_LEAST, over_at - deps.clock())
        try:
            notice = provider.result(url, left)
        except Transient as error:
            problem = error
            continue
        if notice.kind in _CLEAR:
            return notice
        if answer is None or _WEIGHT.index(notice.kind) > _WEIGHT.index(answer.kind):
            answer = notice
    if answer and answer.kind is not Kind.NOT_FOUND and answer.status:
        return answer  # it knows the task, so the others do not
    if problem or answer is None:
        # As long as one host is silent, "not found" on the others proves nothing.
        raise problem or Transient("no host to ask")
    return answer


def _urls(job: Job, provider: ProviderClient, deps: Deps) -> Iterator[str]:
    """Yield where to ask: where the provider said, then the account's own host, then its others.

    An account of a region names hosts of that region only, so a pinned job never leaves it.
    """
    if job.polling_url and provider.may_ask(job.polling_url):
        yield job.polling_url
    if job.provider_id:
        yield provider.result_url(job.provider_id)
        account = next((a for a in deps.settings.accounts if a.name == job.pool), None)
        for base_url in account.poll_urls if account else ():
            yield provider.result_url(job.provider_id, base_url)
