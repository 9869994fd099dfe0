"""`POST /v1/callbacks/test`: has a sample event sent to a URL, and tells what came of it."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from core.jobs.callback_events import CallbackEvent
from core.jobs.job_ids import new_job_id
from core.operations.callbacks import samples
from core.operations.callbacks.attempts import Outcome
from core.operations.callbacks.samples import TRIABLE, CallbackTest
from core.settings.settings import Settings
from service.api.job_filters import FilterReader, unknown
from service.body.json_body import parse_json
from service.body.request_body import read_body
from service.http.auth import tenant_of
from service.http.caller_values import kind_of, shown
from service.http.leaving import HAS_LEFT
from service.http.problems import FieldError, JsonAnswer, Problem, invalid
from service.http.query_parameters import refuse_all
from service.http.shares import Limit, Refusals, Shares
from service.intake.job_request import callback_url
from service.state import State

_FIELDS: Final = ("url", "type")
_LARGEST_BODY: Final = 8192  # bytes
#: Seconds to wait for the outcome, and between two looks for it.
_PATIENCE: Final = 20.0
_LOOK: Final = 0.2
#: Requests at a time that wait for an outcome, in a process; and of them, those of one tenant.
_MOST: Final = 16
_OF_ONE_TENANT: Final = 2
_RETRY_AFTER: Final = "5"  # seconds


def test_shares(refusals: Refusals) -> Shares:
    """Return the places of samples whose outcome is waited for."""
    total = Limit("callback_tests", _MOST, _busy)
    each = Limit("callback_tests_of_one_tenant", _OF_ONE_TENANT, _too_many)
    return Shares(total, each, refusals)


async def test_callback(request: Request[State]) -> Response:
    """Have a sample event sent; 200 with the outcome, or 202 if there is none within 20 s."""
    state = request.state
    tenant = tenant_of(request, state["settings"].api_keys)
    refuse_all(request, **dict.fromkeys(_FIELDS, "send it in the body"))
    body = parse_json(await read_body(request, _LARGEST_BODY))
    url, kind = _wanted(body, state["settings"])
    test_id, scripts = str(new_job_id()), state["async_store"].scripts
    state["callback_tests"].take(tenant)
    try:
        await scripts.run(samples.order(state["store"], test_id, tenant, url, kind))
        test = await _outcome(request, test_id)
    finally:
        state["callback_tests"].give_back(tenant)
    headers = {"cache-control": "no-store"}
    if test is None:
        return JsonAnswer({"id": test_id}, HTTPStatus.ACCEPTED, headers=headers)
    view = {
        "id": test_id,
        "delivered": test.outcome is Outcome.DELIVERED,
        "status": test.status,
        "milliseconds": test.milliseconds,
        "error": test.error,
    }
    return JsonAnswer(view, headers=headers)


async def _outcome(request: Request[State], test_id: str) -> CallbackTest | None:
    """Return what came of a test; None if there is nothing in time, or its client has left."""
    state = request.state
    for _ in range(round(_PATIENCE / _LOOK)):
        pairs = await state["async_store"].scripts.read_hash(samples.key(test_id))
        test = samples.parse(dict(zip(pairs[::2], pairs[1::2], strict=True)))
        if test and test.outcome:
            return test
        if state["drain"].started or HAS_LEFT in request.scope:
            break
        await asyncio.sleep(_LOOK)
    return None


def _busy() -> Problem:
    detail = (
        f"{_MOST} samples are being sent by this process already, which is its limit; try again "
        "after Retry-After"
    )
    headers = {"retry-after": _RETRY_AFTER}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=headers)


def _too_many() -> Problem:
    detail = (
        f"{_OF_ONE_TENANT} samples of yours are being sent already, which is your share; wait for "
        "their outcome, or try again after Retry-After"
    )
    headers = {"retry-after": _RETRY_AFTER}
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-tests", detail, headers=headers)


def _wanted(body: Any, settings: Settings) -> tuple[str, CallbackEvent]:
    """Parse the body; raises a `Problem` with everything that is wrong."""
    if not isinstance(body, dict):
        allowed = "an object with url"
        raise invalid([FieldError("body", f"is {kind_of(body)}", allowed, "send an object")])
    reader = FilterReader(settings)
    unknown((name for name in body if name not in _FIELDS), _FIELDS, reader)
    kind = body.get("type", CallbackEvent.TEST)
    if kind not in TRIABLE:
        reader.refuse("type", f"is {shown(kind)}", f"one of {', '.join(TRIABLE)}")
    problems: list[FieldError] = []
    url = callback_url({"url": body.get("url")}, settings, problems)
    reader.errors += [replace(one, field="url") for one in problems]
    if reader.errors or url is None:
        raise invalid(reader.errors)
    return url, CallbackEvent(kind)
