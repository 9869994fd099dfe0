"""A result's link that fails: the provider is asked for a better one while that may help.

An image that was made is paid for, and the provider may name a good link where a webhook, or an
earlier answer, named one that is dead, unreachable, malformed or on a host we do not call.
"""

import logging
from collections.abc import Callable
from typing import Final

from core.errors import Permanent, StorageUnavailable, StoreUnavailable, Transient
from core.jobs.failures import FailureCode
from core.jobs.job import Job
from core.jobs.status import Status, Step
from core.log import event
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from core.security.address_rules import result_url_problem
from worker.clients.download import LinkRefused, ResultGone
from worker.deps import Deps
from worker.results.provider_lookup import ask

_log = logging.getLogger(__name__)
#: Counts how often the provider was asked for a better link; it is asked so often at most.
_ASK: Final = "ask"
_MOST_ASKS: Final = 20
_SAME: Final = "get_result names the same link"


def renew(job: Job, error: Exception, deps: Deps, alive: Callable[[], None]) -> bool:
    """Ask the provider for a better link, if it is time to, and have the copy begin with that.

    The first time at once where the link is no good, after a second failure where it may be a slip
    of its host; then at growing distances; and once more when the link's life is over. The new
    link, the count and the start of the copy are one change: dying before it means to ask again.

    Args:
        job: As it was read; its link failed.
        error: How.
        deps: What the step works with.
        alive: Shows that the step is alive.

    Returns:
        False where there is no better link (yet).

    Raises:
        LinkRefused: The other link that it names must not be called either.
        Permanent: There is no link that may be called, and never will be: the task failed.
        StoreUnavailable: Redis is away.
    """
    if not _is_time(job, error, deps):
        return False
    notice: Notice | None = None
    try:
        notice = ask(job, deps, alive)
    except StoreUnavailable:
        raise
    except Transient as problem:
        said = str(problem)
    else:
        said = _said(job, notice, deps)
    better = notice if notice and not said else None
    asks = job.tries.get(_ASK, 0)
    found = {"result_url": better.url, "result_expires_at": better.expires_at} if better else {}
    change = Change(
        # Two that ask at once must not take each other's link away.
        expect={"result_url": job.result_url or ""},
        set={"ask_at": deps.clock() + deps.settings.retry_base_seconds * 2**asks, **found},
        add={f"tries:{_ASK}": 1},
        wake=[Step.COLLECT] if better else [],
    )
    changed = deps.store.change(job.id, {Status.STORING}, change)
    event(_log, "link.asked_for", logging.WARNING, job_id=job.id, reason=str(error), said=said)
    if changed and not better and notice:
        _judge(notice, error, said)
    return better is not None or not changed


def _judge(notice: Notice, error: Exception, said: str) -> None:
    """Raise what weighs more than that the link failed."""
    if notice.kind is Kind.FAILED and isinstance(error, LinkRefused):
        raise Permanent(notice.code, notice.message)
    if notice.kind is Kind.READY and said != _SAME:
        raise LinkRefused(said) from error


def _is_time(job: Job, error: Exception, deps: Deps) -> bool:
    now, asks = deps.clock(), job.tries.get(_ASK, 0)
    if asks >= _MOST_ASKS:
        return False
    if now >= (job.result_expires_at or 0):
        return now < job.request.deadline_at or not asks
    if not isinstance(error, ResultGone | LinkRefused) and not job.tries.get(Step.COLLECT):
        return False
    return now >= (job.ask_at or 0)


def _said(job: Job, notice: Notice, deps: Deps) -> str:
    """Say why an answer is of no help, "" where it is: no link is in it."""
    if notice.kind is not Kind.READY:
        return notice.message or f"get_result says {notice.status}"
    if notice.url == job.result_url:
        return _SAME
    return result_url_problem(notice.url or "", deps.settings.result_hosts) or ""


def reason(job: Job, error: Exception) -> tuple[FailureCode, str]:
    """Say why the image was not stored: by the last try that its link was alive for."""
    trouble = str(error) if isinstance(error, StorageUnavailable) else job.storage_trouble
    late = "The image could not be stored before its URL died; the last try said: "
    if trouble:
        return FailureCode.STORAGE_FAILED, late + trouble
    if isinstance(error, LinkRefused):
        return FailureCode.PROVIDER_ERROR, f"{error}. The provider names no other"
    if isinstance(error, ResultGone):
        message = f"The result's link was dead before the image was stored (it answered {error})"
        return FailureCode.RESULT_EXPIRED, message
    return FailureCode.RESULT_EXPIRED, f"{late}{error}"
