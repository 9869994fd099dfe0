"""`POST /v1/callbacks/test`: has a sample event sent to a URL, and tells what came of it."""

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from core.jobs.callback_events import CallbackEvent
from core.jobs.job_ids import new_job_id
from core.operations.callbacks import samples
from core.operations.callbacks.attempts import Outcome
from core.operations.callbacks.samples import TRIABLE
from core.settings.settings import Settings
from service.api.job_filters import FilterReader, unknown
from service.body.json_body import parse_json
from service.body.request_body import read_body
from service.http.auth import tenant_of
from service.http.caller_values import kind_of, shown
from service.http.problems import FieldError, JsonAnswer, invalid
from service.intake.job_request import callback_url
from service.state import State

_FIELDS: Final = ("url", "type")
_LARGEST_BODY: Final = 8192  # bytes
#: Seconds to wait for the outcome, and between two looks for it.
_PATIENCE: Final = 20.0
_LOOK: Final = 0.2


async def test_callback(request: Request[State]) -> Response:
    """Have a sample event sent; 200 with the outcome, or 202 if there is none within 20 s."""
    state = request.state
    tenant = tenant_of(request, state["settings"].api_keys)
    body = parse_json(await read_body(request, _LARGEST_BODY))
    url, kind = _wanted(body, state["settings"])
    test_id, store = str(new_job_id()), state["store"]
    await state["async_store"].scripts.run(samples.order(store, test_id, tenant, url, kind))
    headers = {"cache-control": "no-store"}
    for _ in range(round(_PATIENCE / _LOOK)):
        test = await run_in_threadpool(samples.read, store, test_id)
        if test and test.outcome:
            view = {
                "id": test_id,
                "delivered": test.outcome is Outcome.DELIVERED,
                "status": test.status,
                "milliseconds": test.milliseconds,
                "error": test.error,
            }
            return JsonAnswer(view, headers=headers)
        if state["drain"].started:
            break
        await asyncio.sleep(_LOOK)
    return JsonAnswer({"id": test_id}, HTTPStatus.ACCEPTED, headers=headers)


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
