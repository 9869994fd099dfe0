"""The sweep: starts whatever no event started. One process at a time does it, by a lease.

Each round is one script on the server (`core/redis/lua/sweep.lua`), driven by due times: lost
webhooks, steps whose worker died, retries, owed callbacks, deadlines, slots of lost holders, and
inputs of jobs that were never accepted. Its cost grows with what is due, not with what exists.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Final

from core.errors import StoreUnavailable
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import STEP_STATUSES, TERMINAL, Status, Step
from core.log import event
from core.operations.account_status import AccountRegistry
from core.redis.change import Change
from core.redis.store import JobStore

_log = logging.getLogger(__name__)

#: Seconds after which another process may take over from one that shows no sign of life.
_LEASE: Final = 5.0
#: Seconds between two looks for jobs that no account's lane holds.
_ADOPT_EVERY: Final = 30.0


def sweep_forever(
    store: JobStore, accounts: AccountRegistry, interval: float, stop: threading.Event
) -> None:
    """Sweep every `interval` seconds until `stop` is set, whenever the lease is ours.

    The lease's token is new each time it is taken, and the script refuses an old one: a sweeper
    that was frozen for a while cannot act beside the one that took over.
    """
    token, adopt_at = "", 0.0
    while not stop.is_set():
        more = False
        try:
            token, more = sweep_once(store, token, accounts.blocking_reason)
            if token and time.monotonic() >= adopt_at:
                adopt_at = time.monotonic() + _ADOPT_EVERY
                _adopt(accounts)
        except StoreUnavailable as error:
            event(_log, "sweep.failed", logging.ERROR, reason=str(error))
            token = ""
        if not more:
            stop.wait(interval)


def _adopt(accounts: AccountRegistry) -> None:
    """See after jobs in lanes that the settings do not know; some come late, so again and again."""
    adopted = accounts.adopt()
    if adopted:
        event(_log, "sweep.adopted", logging.WARNING, jobs=adopted)


def _unhindered() -> None:
    """Say that nothing keeps jobs from being made."""


def _give_up(store: JobStore, step: Step, job_id: JobId) -> None:
    """End what workers died of each time that they handled it, so that they live for the others."""
    why = "FluxRelay's worker died each time that it handled this {}"
    if step is Step.NOTIFY:
        ended = store.give_up_callback(job_id, why.format("callback"), store.now(), {})
    elif step is Step.CLEANUP:
        ended = store.change(job_id, TERMINAL, Change(done=[step]))
    else:
        was = STEP_STATUSES[step]
        ended = store.fail(job_id, FailureCode.LOST, why.format("job"), was=was)
    event(_log, "step.given_up", logging.ERROR, job_id=job_id, step=step, ended=ended)


def sweep_once(
    store: JobStore, token: str, blocking_reason: Callable[[], str | None] = _unhindered
) -> tuple[str, bool]:
    """Do one round if the lease is, or becomes, ours.

    Args:
        store: Where jobs are.
        token: The lease's, if it was ours before.
        blocking_reason: Says why jobs wait, to those whose time is over.

    Returns:
        The token to go on with, and whether more is due than one round looks at.
    """
    if not token:
        token = uuid.uuid4().hex
        if not store.take_sweep_lease(token, _LEASE):
            return "", False
        event(_log, "sweep.leading")
    report = store.sweep(token, _LEASE)
    if report is None:
        return "", False
    why = blocking_reason() if report["overdue"] else None
    message = "The job's deadline passed while it waited for a free slot"
    message += f": {why}" if why else ""
    for job_id in report["overdue"]:
        store.fail(JobId(job_id), FailureCode.TIMED_OUT, message, was=[Status.QUEUED])
    for member in report["died"]:
        step, _, job_id = member.partition(":")
        _give_up(store, Step(step), JobId(job_id))
    if report["woken"] or report["overdue"] or report["freed"]:
        counts = {name: len(report[name]) for name in ("woken", "overdue", "freed")}
        event(_log, "sweep.acted", backlog=report["backlog"], slots=report["held"], **counts)
    return token, bool(report["more"])
