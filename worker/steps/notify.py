"""The notify step: sends a signed callback, at least once."""

import json
import logging
from typing import Final

from core.batches.batch import Batch, BatchStatus
from core.batches.plans import BatchPlans
from core.batches.views import batch_view
from core.jobs.callback_events import CallbackEvent
from core.jobs.drop_in_views import task_view
from core.jobs.job import Job, JobId
from core.jobs.status import TERMINAL, CallbackState, Step
from core.jobs.views import job_view
from core.log import event
from core.provider.wire_format import WEBHOOK_HEADER
from core.redis.change import Change
from core.redis.store import CALLBACK_LOG
from worker.clients.backoff import backoff
from worker.clients.callbacks import Delivery
from worker.clients.receiver import Receiver
from worker.deps import Deps
from worker.steps.callbacks.attempt import (
    LONGEST_WAIT,
    Message,
    attempt_if_allowed,
    attempt_record,
    requested_pause,
    signed_message,
)

_log = logging.getLogger(__name__)

#: What owes its caller a callback.
Owing = Job | Batch
#: Seconds that a last attempt is put off at a time, where names are slow to look up.
_LONGEST_DELAY: Final = 300.0


def notify(job_id: JobId, deps: Deps) -> None:
    """Make one attempt at the callback of a job that has ended.

    If the worker dies after the receiver accepted the callback and before that is recorded, the
    callback is sent twice with the same `webhook-id`, so the receiver can deduplicate.
    """
    job = deps.store.begin(Step.NOTIFY, job_id)
    if job is None or job.callback_state is not CallbackState.PENDING:
        # Unless it was sent again since the record was read: that attempt must stay due.
        unless = {"callback_state": str(CallbackState.PENDING)}
        deps.store.change(job_id, TERMINAL, Change(unless=unless, done=[Step.NOTIFY]))
        return
    attempt_callback(job, deps)


def attempt_callback(job: Owing, deps: Deps) -> None:
    """Make one attempt at the callback that a job, or a batch, owes its caller."""
    receiver = Receiver(job.request.tenant, job.request.callback_url or "")
    now, step = deps.clock(), _step_of(job)
    give_up_at = _give_up_at(job, now, deps)
    was_attempted = job.callback_attempts > job.callback_before
    delivery, wait = attempt_if_allowed(
        receiver,
        lambda: _message(job, now, deps),
        deps,
        about=job.id,
        is_last=now >= give_up_at,
        is_first=not was_attempted,
    )
    # Many callbacks to a receiver may reach their end at the same time. A failed attempt of another
    # one after that end is enough to give this one up; else they would hold up other receivers.
    failed_after_end = was_attempted and now - deps.receivers.failed_ago(receiver) >= give_up_at
    if not delivery.attempted and not failed_after_end:
        later = _later(job, now, wait, give_up_at, deps)
        _change(job, Change(due={step: later}), deps)
        return
    event(
        _log,
        "callback.attempted",
        job_id=job.id,
        attempt=job.callback_attempts + 1,
        status=delivery.status,
        error=delivery.error,
    )
    _change(job, _record(job, delivery, now, deps), deps)


def _step_of(job: Owing) -> Step:
    return Step.ANNOUNCE if isinstance(job, Batch) else Step.NOTIFY


def _change(job: Owing, change: Change, deps: Deps) -> None:
    if isinstance(job, Batch):
        plan = BatchPlans(deps.store).change(job.id, BatchStatus.COMPLETED, change)
        deps.store.execute(plan)
    else:
        deps.store.change(job.id, TERMINAL, change)


def _event_of(job: Owing) -> CallbackEvent:
    if isinstance(job, Batch):
        return CallbackEvent.BATCH_COMPLETED
    return CallbackEvent(f"job.{job.status}")


def _message(job: Owing, now: float, deps: Deps) -> Message:
    """Return the body and headers of the callback."""
    if isinstance(job, Batch):
        data = batch_view(job, now)
    elif job.request.origin:
        return _provider_message(job, job.request.origin, deps)
    else:
        data = job_view(job)
    return signed_message(
        _event_of(job),
        data,
        f"msg_{job.id}",
        job.request.tenant,
        deps,
        at=job.ended_at or now,
    )


def _provider_message(job: Job, origin: str, deps: Deps) -> Message:
    """Return what the provider would send: the finished task, with the client's own secret."""
    settings = deps.settings
    master = settings.webhook_secrets[0].reveal()
    headers = {"content-type": "application/json", "user-agent": "FluxRelay"}
    if job.request.client_secret:
        headers[WEBHOOK_HEADER] = job.request.client_secret
    return json.dumps(task_view(job, settings.public_url or origin, master)).encode(), headers


def _record(job: Owing, delivery: Delivery, now: float, deps: Deps) -> Change:
    attempt = {"at": now, "status": delivery.status, "error": delivery.error}
    log = [*job.callback_log, attempt][-CALLBACK_LOG:]
    attempts = job.callback_attempts + delivery.attempted
    record = attempt_record(_event_of(job), delivery, now) if delivery.attempted else {}
    fields: dict[str, str | int] = {"callback_log": json.dumps(log), "callback_attempts": attempts}
    # An attempt that began before the caller asked for another one does not count for that.
    expect = {"callback_resends": str(job.callback_resends) if job.callback_resends else ""}
    # A slow concurrent run must not undo another attempt's result; a delivery always counts.
    if not delivery.delivered:
        expect |= {
            "callback_state": str(job.callback_state),
            "callback_attempts": str(job.callback_attempts) if job.callback_attempts else "",
        }
    give_up_at = _give_up_at(job, now, deps)
    if not delivery.final and now < give_up_at:
        # `Retry-After` counts from the answer. However long the wait, the last attempt is made when
        # the time for attempts ends.
        due = max(now + _backoff(job, deps), deps.clock() + requested_pause(delivery, deps))
        due = min(due, give_up_at)
        return Change(set=fields, expect=expect, due={_step_of(job): due}, attempt=record)
    state = CallbackState.DELIVERED if delivery.delivered else CallbackState.DEAD
    ended = {**fields, "callback_state": state}
    return Change(set=ended, expect=expect, done=[_step_of(job)], attempt=record)


def _later(job: Owing, now: float, wait: float, give_up_at: float, deps: Deps) -> float:
    """Return when a callback that was put off without an attempt comes again."""
    if now < give_up_at:
        return min(now + max(wait, _backoff(job, deps)), give_up_at)
    return now + (wait or min(_LONGEST_DELAY, _backoff(job, deps)))  # soon: it is over its time


def _backoff(job: Owing, deps: Deps) -> float:
    return backoff(
        job.callback_attempts - job.callback_before,
        base=deps.settings.callback_retry_base_seconds,
        longest=LONGEST_WAIT,
        rng=deps.rng,
    )


def _give_up_at(job: Owing, now: float, deps: Deps) -> float:
    """Return the Unix time of the last attempt; if that fails, the callback is given up."""
    since = job.callback_from or job.ended_at or now
    return since + deps.settings.callback_give_up_seconds
