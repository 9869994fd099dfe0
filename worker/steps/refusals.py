"""What follows from a submit that the provider did not take: who rests, and for how long.

A model with a limit of its own, such as a video's, rests alone where that is enough: other models
of the account need not wait with it.
"""

import logging
from typing import Final

from core.jobs.job import Job
from core.log import event
from core.redis.change import Cap, Change
from core.scheduling import circuit_breakers
from worker.clients.submit_outcomes import AccountRefused, Busy, NotSent, Overloaded
from worker.deps import Deps

_log = logging.getLogger(__name__)

Refusal = Busy | AccountRefused | NotSent
#: How the reason of a refusal for lack of credits begins.
_NO_CREDITS: Final = "402"


def answering_breakers(job: Job, deps: Deps) -> list[str]:
    """Return the breakers that any answer to the job's submit closes."""
    limit = deps.limit_of(job)
    own = [circuit_breakers.provider(job.pool, limit)] if limit else []
    return [circuit_breakers.provider(job.pool), *own]


def failing_breaker(job: Job, deps: Deps) -> str:
    """Return the breaker that a failure of the job's endpoint opens."""
    return circuit_breakers.provider(job.pool, deps.limit_of(job))


def consequence(job: Job, outcome: Refusal, deps: Deps) -> tuple[Change, str]:
    """Return what changes besides the job, which goes back to the backlog, and why it does."""
    pool, limit = job.pool or "", deps.limit_of(job)
    if isinstance(outcome, Busy):
        seconds = outcome.retry_after or deps.settings.pool_pause_seconds
        passed = answering_breakers(job, deps)
        if limit:
            return Change(cap=Cap(pool, limit, seconds), passed=passed), "429"
        return Change(shrink=(pool, seconds), passed=passed), "429"
    if isinstance(outcome, AccountRefused):
        return _refused(pool, limit, outcome.reason, deps), outcome.reason
    message, retry_after = outcome.message, outcome.retry_after
    if limit and isinstance(outcome, Overloaded):
        cap = Cap(pool, limit, retry_after, most=0) if retry_after else None
        return Change(cap=cap, failed={failing_breaker(job, deps): message}), message
    # The provider is unreachable for every job, so all of them wait in the backlog.
    pausing = (pool, retry_after, message) if retry_after else None
    return Change(failed={circuit_breakers.provider(pool): message}, pause=pausing), message


def _refused(pool: str, limit: str | None, reason: str, deps: Deps) -> Change:
    """Return what follows from a refusal for lack of credits, or of the account's key.

    Afterwards, one job goes first: the few credits may not be enough for more.
    """
    pause = deps.settings.pool_pause_seconds
    if limit and reason.startswith(_NO_CREDITS):
        # There may be enough for other models, or the provider means that it is busy: both have
        # been seen. The check stops the account if nothing is left.
        event(_log, "limit.refused", logging.WARNING, account=pool, limit=limit, reason=reason)
        deps.accounts.check_now(pool)
        own = {circuit_breakers.provider(pool, limit): reason}
        return Change(cap=Cap(pool, limit, pause, most=0), failed=own)
    event(_log, "account.refused", logging.ERROR, account=pool, reason=reason)
    check_at = deps.clock() + pause
    failed = {circuit_breakers.provider(pool): reason}
    return Change(refuse=(pool, check_at, reason), failed=failed)
