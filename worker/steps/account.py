"""The account step: ask for an account's credits, and let a refused one work again."""

import logging

from core.log import event
from worker.clients.submit_outcomes import AccountRefused
from worker.deps import Deps

_log = logging.getLogger(__name__)


def check_account(name: str, deps: Deps) -> None:
    """Ask once, and set the time to ask again.

    An account without credits (402), or whose key is refused (401, 403), makes no jobs until an
    answer here shows that it may.

    Args:
        name: The account's.
        deps: What to work with.

    Raises:
        Transient: The provider is away.
    """
    provider = deps.providers.get(name)
    if provider is None:  # it is configured no more; nothing sets its due time again
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
