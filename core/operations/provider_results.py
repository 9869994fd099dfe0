"""Applies the provider's notices about tasks, whether they came by webhook or poll."""

import json
import logging
from collections.abc import Mapping
from typing import Final

from core.jobs.failures import error_record
from core.jobs.job import JobId
from core.jobs.status import Status, Step, predecessors
from core.log import event
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from core.redis.store import JobStore
from core.redis.transitions import Transition, Transitions

_log = logging.getLogger(__name__)
_Facts = Mapping[str, str | int | float | None]
_RESULT_UNKNOWN: Final = predecessors(Status.STORING)
_ENDS: Final = (Kind.READY, Kind.FAILED)
_ODD: Final = (Kind.UNCLEAR, Kind.UNUSABLE)
_KEPT = 4096  # bytes of a webhook's body


def apply_notice(
    store: JobStore, job_id: JobId, notice: Notice, source: str, raw: bytes = b""
) -> bool:
    """Move the job on according to a notice.

    A duplicate notice, or one that comes after the job moved on, changes nothing: the first notice
    about a result counts. A webhook is on disk before it is acknowledged, because the provider will
    not send it again; a poll can be repeated. An unclear webhook, or one about another task than
    the job's, changes nothing, but triggers a poll.

    Args:
        store: Stores the job.
        job_id: The job.
        notice: The parsed notice.
        source: `webhook` or `poll`, for the log.
        raw: A webhook's body; its beginning is kept for the operator if it brought no image.

    Returns:
        True if it moved the job on.

    Raises:
        StoreUnavailable: Nothing was recorded; the notice must come again.
    """
    return store.execute(prepare_notice(store, job_id, notice, source, raw))


def prepare_notice(
    transitions: Transitions, job_id: JobId, notice: Notice, source: str, raw: bytes = b""
) -> Transition[bool]:
    """Prepare the change that a notice asks for; see `apply_notice`."""
    moved = False
    said = raw[:_KEPT].decode(errors="replace") if raw else None
    known = {"provider_id": notice.provider_id, "cost": notice.cost, "seed": notice.seed}
    if notice.kind is Kind.READY:
        result = {"result_url": notice.url, "result_expires_at": notice.expires_at}
        if notice.more_urls:
            result["more_urls"] = json.dumps(dict(notice.more_urls))
        change = Change(
            set=known | result,
            made_at=notice.made_at,
            unless=_expired(notice),
            task=_named(notice, source),
            wake=[Step.COLLECT],
        )
        moved = yield from transitions.prepare_move(
            job_id, Status.STORING, change, durable=source == "webhook"
        )
    elif notice.kind is Kind.FAILED:
        moved = yield from _fail(
            transitions, job_id, notice, source, known | {"webhook_body": said}
        )
    elif source == "webhook":
        yield from _ask(transitions, job_id, notice, known | {"webhook_body": said})
    if not moved and notice.kind in _ENDS:
        yield from _check_own_task(transitions, job_id, notice, source)
    event(
        _log,
        "provider.notice",
        logging.WARNING if notice.kind in _ODD else logging.INFO,
        job_id=job_id,
        source=source,
        kind=notice.kind,
        provider_status=notice.status,
        moved=moved,
    )
    return moved


def _expired(notice: Notice) -> dict[str, str]:
    """Return the precondition that the notice is not about an expired task being regenerated."""
    told = {"expired_id": notice.provider_id, "expired_url": notice.url}
    return {name: value for name, value in told.items() if value}


def _named(notice: Notice, source: str) -> str | None:
    """Return the task that a webhook must prove to be the job's; a poll asked for the right one."""
    return notice.provider_id if source == "webhook" else None


def _check_own_task(
    transitions: Transitions, job_id: JobId, notice: Notice, source: str
) -> Transition[None]:
    """If a webhook was not believed because it names another task, poll the job's own one."""
    task = _named(notice, source)
    if not task:
        return
    change = Change(
        expect={"resubmits": ""},
        unless=_expired(notice) | {"provider_id": task},
        wake=[Step.POLL],
    )
    if (yield from transitions.prepare_change(job_id, {Status.GENERATING}, change)):
        event(_log, "webhook.other_task", logging.WARNING, job_id=job_id, provider_id=task)


def _ask(
    transitions: Transitions, job_id: JobId, notice: Notice, facts: _Facts
) -> Transition[None]:
    """Trigger a poll for a task whose webhook reports no end.

    A webhook that names a task proves that a submit in doubt was accepted, so it must not be
    repeated. If the task is known already, the reply to the submit takes precedence.
    """
    is_there = bool(notice.provider_id) and notice.kind is not Kind.NOT_FOUND
    settled = is_there and (
        yield from transitions.prepare_move(
            job_id,
            Status.GENERATING,
            Change(set=facts, unless=_expired(notice), wake=[Step.POLL]),
            was=[Status.SUBMITTING],
            durable=True,
        )
    )
    if not settled and notice.kind is not Kind.PENDING:
        said = Change(set={"webhook_body": facts.get("webhook_body")}, wake=[Step.POLL])
        yield from transitions.prepare_change(job_id, {Status.GENERATING}, said)


def _fail(
    transitions: Transitions, job_id: JobId, notice: Notice, source: str, facts: _Facts
) -> Transition[bool]:
    """End the job as failed, unless its result is known or another task of it is running.

    If a submit in doubt was repeated, both tasks may run. A late failure of the first says nothing
    about the second, nor about one that is being posted.
    """
    error = error_record(
        notice.code, notice.message, provider_status=notice.status, details=notice.details
    )
    task = notice.provider_id
    cases: list[tuple[dict[str, str], dict[str, str]]] = [({}, {})]
    if task and source == "webhook":
        cases = [
            ({"resubmits": ""}, {}),
            ({"provider_id": task}, {}),
            ({"provider_id": "", "posting_at": ""}, {}),  # not reposted yet
            ({"provider_id": ""}, {"doubt_until": ""}),  # reposted, and in doubt
        ]
    for expected, unless in cases:
        change = Change(
            set={**facts, "error": error},
            expect=expected,
            unless=unless | _expired(notice),
            task=_named(notice, source),
        )
        told = source == "webhook"
        moving = transitions.prepare_move(
            job_id, Status.FAILED, change, was=_RESULT_UNKNOWN, durable=told
        )
        if (yield from moving):
            return True
    return False
