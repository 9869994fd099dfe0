"""Renews a failing result link: asks the provider for a better one while that may help.

An image that was made is paid for. The provider may name a good link when a webhook or an earlier
answer named one that is expired, unreachable, malformed or on a host that is not allowed.
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Final

from core.errors import Permanent, StorageUnavailable, StoreUnavailable, Transient
from core.jobs.failures import FailureCode
from core.jobs.job import SAMPLE, Job
from core.jobs.status import Status, Step
from core.log import event
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from core.security.address_rules import result_url_problem
from worker.clients.download import LinkRefused, ResultGone
from worker.deps import Deps
from worker.results.provider_lookup import look_up_result

_log = logging.getLogger(__name__)
#: Counts requests for a better link, and bounds them.
_ASK: Final = "ask"
_MAX_ASKS: Final = 20
_SAME: Final = "get_result returned the same link"


def renew(job: Job, error: Exception, deps: Deps, alive: Callable[[], None]) -> bool:
    """Ask the provider for a better link if it is time to, and restart the copy with it.

    The first request is made at once if the link is unusable, and after a second failure if its
    host may only have failed once; further ones at growing intervals, and a last one when the link
    has expired. The new link, the count and the start of the copy are one change: a worker that
    dies before it asks again.

    Args:
        job: The record as read; its link failed.
        error: How the link failed.
        deps: The step's dependencies.
        alive: Renews the step's lease.

    Returns:
        False if there is no better link (yet).

    Raises:
        LinkRefused: The new link is not allowed either.
        Permanent: The task failed, so there will never be an allowed link.
        StoreUnavailable: Redis is unreachable.
    """
    if not _is_time(job, error, deps):
        return False
    notice: Notice | None = None
    try:
        notice = look_up_result(job, deps, alive)
    except StoreUnavailable:
        raise
    except Transient as problem:
        said = str(problem)
    else:
        said = _problem_with(job, notice, deps)
    better = notice if notice and not said else None
    asks = job.tries.get(_ASK, 0)
    found = _links_in(better) if better else {}
    change = Change(
        # Concurrent runs must not overwrite each other's link.
        expect={"result_url": job.result_url or "", "more_urls": _text_of(job.more_urls)},
        set={"ask_at": deps.clock() + deps.settings.retry_base_seconds * 2**asks, **found},
        add={f"tries:{_ASK}": 1},
        wake=[Step.COLLECT] if better else [],
    )
    changed = deps.store.change(job.id, {Status.STORING}, change)
    event(_log, "link.asked_for", logging.WARNING, job_id=job.id, reason=str(error), said=said)
    if changed and not better and notice:
        _raise_if_final(notice, error, said)
    return better is not None or not changed


def _links_in(notice: Notice) -> dict[str, str | float | None]:
    """Return the record's fields about a result's links."""
    more = _text_of(notice.more_urls) or None  # those that are known remain
    return {
        "result_url": notice.url,
        "result_expires_at": notice.expires_at,
        "more_urls": more,
    }


def _text_of(more_urls: Mapping[str, str]) -> str:
    """Return links as `core.operations.provider_results` records them."""
    return json.dumps(dict(more_urls)) if more_urls else ""


def _raise_if_final(notice: Notice, error: Exception, said: str) -> None:
    """Raise an answer that outweighs the failure of the link."""
    if notice.kind is Kind.FAILED and isinstance(error, LinkRefused):
        raise Permanent(notice.code, notice.message)
    if notice.kind is Kind.READY and said != _SAME:
        raise LinkRefused(said) from error


def _is_time(job: Job, error: Exception, deps: Deps) -> bool:
    now, asks = deps.clock(), job.tries.get(_ASK, 0)
    if asks >= _MAX_ASKS:
        return False
    if now >= (job.result_expires_at or 0):
        return now < job.request.deadline_at or not asks
    if not isinstance(error, ResultGone | LinkRefused) and not job.tries.get(Step.COLLECT):
        return False
    return now >= (job.ask_at or 0)


def _problem_with(job: Job, notice: Notice, deps: Deps) -> str:
    """Return why an answer does not help; "" if it holds a usable link."""
    if notice.kind is not Kind.READY:
        return notice.message or f"get_result says {notice.status}"
    links = {SAMPLE: notice.url or "", **notice.more_urls}
    if links.items() <= {SAMPLE: job.result_url or "", **job.more_urls}.items():
        return _SAME
    problems = (result_url_problem(link, deps.settings.result_hosts) for link in links.values())
    return next((problem for problem in problems if problem), "")


def failure_reason(job: Job, error: Exception) -> tuple[FailureCode, str]:
    """Return why the result was not stored, by the last try while its link was valid."""
    trouble = str(error) if isinstance(error, StorageUnavailable) else job.storage_trouble
    late = "The result could not be stored before its URL expired; the last error was: "
    if trouble:
        return FailureCode.STORAGE_FAILED, late + trouble
    if isinstance(error, LinkRefused):
        return FailureCode.PROVIDER_ERROR, f"{error}. The provider gave no other link"
    if isinstance(error, ResultGone):
        message = f"The result's link expired before it was stored (its host answered {error})"
        return FailureCode.RESULT_EXPIRED, message
    return FailureCode.RESULT_EXPIRED, f"{late}{error}"
