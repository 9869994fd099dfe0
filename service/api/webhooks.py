"""`POST /webhooks/bfl/{job_id}`: receives the provider's webhooks."""

import hmac
import logging
import time
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse

from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.log import event
from core.operations.provider_results import prepare_notice
from core.provider.wire_format import WEBHOOK_HEADER, parse_notice
from core.redis.change import Change
from core.security.signatures import is_webhook_secret, webhook_secret
from core.text_values import Secret
from service.body.request_body import read_body
from service.http.problems import Problem
from service.state import State

_log = logging.getLogger(__name__)

_LARGEST_BODY: Final = 1024 * 1024  # bytes
_SECRET: Final = WEBHOOK_HEADER.lower().encode()
_SIGNATURE: Final = b"x-bfl-signature"


async def receive_webhook(request: Request[State]) -> JSONResponse:
    """Verify the job's secret first, then apply the notice.

    A forged request costs no lookup: the secret derives from the job id and the master secret.
    Duplicates, late notices and unknown statuses are acknowledged, because sending them again would
    change nothing.
    """
    state = request.state
    settings = state["settings"]
    job_id = JobId(request.path_params["job_id"])
    headers = dict(request.headers.raw)
    masters = [master.reveal() for master in settings.webhook_secrets]
    if not is_webhook_secret(masters, job_id, headers.get(_SECRET, b"")):
        event(_log, "webhook.refused", logging.WARNING, job_id=job_id[:64])
        detail = f"The {WEBHOOK_HEADER} header is missing, or is not this job's secret"
        raise Problem(HTTPStatus.UNAUTHORIZED, "wrong-webhook-secret", detail)
    raw = await read_body(request, _LARGEST_BODY)
    _check_signature(settings.webhook_secrets, job_id, raw, headers.get(_SIGNATURE))
    moved = await _act(state, job_id, raw)
    return JSONResponse({"status": "received" if moved else "ignored"})


async def _act(state: State, job_id: JobId, raw: bytes) -> bool:
    store = state["async_store"]
    try:
        notice = parse_notice(raw, time.time(), state["settings"].result_lifetime_seconds)
    except ValueError:
        # Unreadable, but something happened: poll.
        poll = Change(wake=[Step.POLL])
        await store.execute(store.transitions.prepare_change(job_id, {Status.GENERATING}, poll))
        detail = "The body is not a JSON object"
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid-json", detail) from None
    return await store.execute(prepare_notice(store.transitions, job_id, notice, "webhook", raw))


def _check_signature(
    masters: tuple[Secret, ...], job_id: JobId, raw: bytes, presented: bytes | None
) -> None:
    """Verify `X-BFL-Signature: sha256=…` if present; only one source documents it."""
    if presented is None:
        return
    good = False
    for master in masters:
        key = webhook_secret(master.reveal(), job_id).encode()
        expected = b"sha256=" + hmac.new(key, raw, sha256).hexdigest().encode()
        good |= hmac.compare_digest(expected, presented)
    if not good:
        detail = "The signature in the X-BFL-Signature header does not match the body"
        raise Problem(HTTPStatus.UNAUTHORIZED, "wrong-webhook-signature", detail)
