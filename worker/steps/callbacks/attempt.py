"""One attempt at a callback, whatever it is about: message, limits, and record."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.jobs.callback_events import CallbackEvent
from core.jobs.views import timestamp
from core.log import event
from core.operations.callbacks.attempts import Outcome
from core.provider.retry_after import retry_after_seconds
from core.security.signatures import callback_secret, sign_callback
from worker.clients.callbacks import BREAKER_OPEN, TENANT_BUSY, Delivery
from worker.clients.receiver import Receiver
from worker.deps import Deps

_log = logging.getLogger(__name__)

LONGEST_WAIT: Final = 3600.0  # seconds between two attempts
#: A body and its headers.
Message = tuple[bytes, dict[str, str]]


def attempt_if_allowed(
    receiver: Receiver,
    message: Callable[[], Message],
    deps: Deps,
    *,
    about: str,
    is_last: bool = False,
    is_first: bool = False,
) -> tuple[Delivery, float]:
    """Make an attempt, unless the tenant has too many slow ones or the receiver's breaker is open.

    Args:
        receiver: Who is called.
        message: Makes the message.
        deps: The clients.
        about: Id of the job or batch, for the log.
        is_last: No attempt follows: a pause of the receiver is passed over.
        is_first: No attempt was made before: as the last one it is made in any case.

    Returns:
        The outcome, and the seconds to wait if no attempt was made.
    """
    with deps.bulkhead.place(receiver) as busy_for:
        if busy_for:
            return Delivery(error=TENANT_BUSY), busy_for
        # A pause that the receiver asked for must not cost a callback its last attempt.
        wait = deps.receivers.wait(receiver, despite_pause=is_last)
        # Every callback gets at least one attempt: the failures may be those of other callbacks.
        if wait and not (is_last and is_first):
            return Delivery(error=BREAKER_OPEN), wait
        return _attempt(receiver, message, deps, about), wait


def signed_message(
    kind: CallbackEvent,
    data: Mapping[str, Any],
    message_id: str,
    tenant: str,
    deps: Deps,
    *,
    at: float,
) -> Message:
    """Return the body and headers as Standard Webhooks defines them.

    Args:
        kind: Type of the event.
        data: What it is about.
        message_id: The same for each attempt, so that the receiver can deduplicate.
        tenant: Whose secret signs it.
        deps: The settings and the clock.
        at: Unix time of the event in seconds.
    """
    now = int(deps.clock())
    body = json.dumps({"type": kind, "timestamp": timestamp(at), "data": data}).encode()
    masters = deps.settings.webhook_secrets
    secrets = [callback_secret(master.reveal(), tenant) for master in masters]
    return body, {
        "content-type": "application/json",
        "user-agent": "FluxRelay",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign_callback(secrets, message_id, now, body),
    }


def requested_pause(delivery: Delivery, deps: Deps) -> float:
    """Return the seconds that the receiver's `Retry-After` asks for, within bounds."""
    if delivery.final:
        return 0.0
    return min(LONGEST_WAIT, retry_after_seconds(delivery.retry_after, deps.clock()) or 0.0)


def attempt_record(kind: CallbackEvent, delivery: Delivery, now: float) -> dict[str, str]:
    """Return an attempt as `core.operations.callbacks.attempts` lists it."""
    outcome = Outcome.DELIVERED if delivery.delivered else Outcome.FAILED
    known = {
        "status": delivery.status,
        "ms": delivery.milliseconds,
        "error": delivery.error,
    }
    record = {"type": str(kind), "at": f"{now:.3f}", "outcome": str(outcome)}
    return record | {name: str(value) for name, value in known.items() if value is not None}


def _attempt(
    receiver: Receiver, message: Callable[[], Message], deps: Deps, about: str
) -> Delivery:
    """Make an attempt; any exception counts as its outcome, so that every callback ends."""
    try:
        body, headers = message()
    except Exception as error:  # noqa: BLE001 - a bug of ours; it is recorded
        kind = type(error).__name__
        event(_log, "callback.not_made", logging.ERROR, job_id=about, reason=kind)
        return Delivery(error=f"FluxRelay could not build the callback: {kind}")
    delivery = deps.callbacks.post(receiver.url, body, headers, tenant=receiver.tenant)
    if delivery.attempted:
        _tell_breakers(receiver, delivery, deps)
    return delivery


def _tell_breakers(receiver: Receiver, delivery: Delivery, deps: Deps) -> None:
    """Count the attempt for the URL, or for the whole host if there was no answer."""
    if delivery.answered:
        deps.receivers.record_success(receiver)
    elif delivery.status is not None:
        deps.receivers.record_error(receiver)
    elif not delivery.never_retry:  # otherwise the URL is unusable, and nothing was called
        deps.receivers.record_no_answer(receiver)
    if pause := requested_pause(delivery, deps):
        deps.receivers.record_pause(receiver, pause)
