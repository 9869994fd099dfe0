"""The account step: reads an account's credits, and resumes a refused account when it works."""

import logging

from core.log import event
from worker.clients.submit_outcomes import AccountRefused
from worker.deps import Deps

_log = logging.getLogger(__name__)


def check_account(name: str, deps: Deps) -> None:
    """Check the account once, and schedule the next check.

    An account without credits (402), or whose key is refused (401, 403), gets no jobs until a check
    succeeds.

    Args:
        name: The account's name.
        deps: The step's dependencies.

    Raises:
        Transient: The provider is unreachable.
    """
    provider = deps.providers.get(name)
    if provider is None:  # removed from the configuration: no further checks
        deps.accounts.unschedule_check(name)
        return
    now, settings = deps.clock(), deps.settings
    answer = provider.credits()
    left = None if isinstance(answer, AccountRefused) else answer
    refused = answer.reason if isinstance(answer, AccountRefused) else None
    if left is not None and left <= 0:
        refused = "402 no credits left"
    wait = settings.pool_pause_seconds if refused else settings.credits_interval_seconds
    resumed = deps.accounts.record_check(
        name, credits_left=left, refused=refused, check_at=now + wait
    )
    if refused:
        event(_log, "account.refused", logging.ERROR, account=name, reason=refused)
    elif resumed:
        event(_log, "account.resumed", logging.WARNING, account=name, credits=left)
