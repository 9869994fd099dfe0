"""The sweep starts every step that no event started. One process at a time runs it, under a lease.

Each round is one Lua script (`core/redis/lua/sweep.lua`), driven by due times: lost webhooks, steps
whose worker died, retries, pending callbacks, deadlines, slots of lost holders, and inputs of jobs
that were never accepted. Its cost grows with what is due, not with what exists.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Final

from core.batches.batch import BatchId
from core.batches.operations import STEPS, give_up
from core.errors import StoreUnavailable
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import STEP_STATUSES, Status, Step
from core.log import event
from core.operations.account_status import AccountRegistry
from core.redis.change import Change
from core.redis.store import JobStore

_log = logging.getLogger(__name__)

#: Seconds without a sign of life after which another process takes over.
LEASE: Final = 5.0
#: Seconds between searches for jobs in lanes that belong to no account.
_ADOPT_EVERY: Final = 30.0


def sweep_forever(
    store: JobStore, accounts: AccountRegistry, interval: float, stop: threading.Event
) -> None:
    """Sweep every `interval` seconds until `stop` is set, while this process holds the lease.

    The lease gets a new token each time it is taken, and the script refuses old tokens: a sweeper
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
    """Move jobs out of lanes that the settings do not know; repeated, because some come late."""
    adopted = accounts.adopt()
    if adopted:
        event(_log, "sweep.adopted", logging.WARNING, jobs=adopted)


def _unhindered() -> None:
    """Say that nothing keeps jobs from being made."""


def _give_up(store: JobStore, step: Step, job_id: JobId) -> None:
    """Give up what killed its worker every time, to protect the workers."""
    why = "FluxRelay's worker died every time it handled this {}"
    if step in STEPS:
        ended = give_up(store, step, BatchId(job_id), why.format("batch"))
    elif step is Step.NOTIFY:
        ended = store.give_up_callback(job_id, why.format("callback"), store.now(), {})
    elif step in (Step.CLEANUP, Step.PROGRESS):  # the job is well without it
        ended = store.change(job_id, STEP_STATUSES[step], Change(done=[step]))
    else:
        was = STEP_STATUSES[step]
        ended = store.fail(job_id, FailureCode.LOST, why.format("job"), was=was)
    event(_log, "step.given_up", logging.ERROR, job_id=job_id, step=step, ended=ended)


def sweep_once(
    store: JobStore, token: str, blocking_reason: Callable[[], str | None] = _unhindered
) -> tuple[str, bool]:
    """Run one round if this process holds, or gets, the lease.

    Args:
        store: The job store.
        token: The token of the lease, if it was held before.
        blocking_reason: Returns why jobs wait, for the error of overdue jobs.

    Returns:
        The token for the next round, and whether more is due than one round handles.
    """
    if not token:
        token = uuid.uuid4().hex
        if not store.take_sweep_lease(token, LEASE):
            return "", False
        event(_log, "sweep.leading")
    report = store.sweep(token, LEASE)
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
