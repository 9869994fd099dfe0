"""The API's answers."""

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from sandbox.faults.behavior import PollPlan
from sandbox.faults.odd_results import odd
from sandbox.statuses import Status
from sandbox.tasks.tasks import Task

#: A host that is not one of the provider's.
ELSEWHERE: Final = "https://elsewhere.invalid"


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer, in ASCII so that an echoed lone surrogate cannot break it."""
    return Response(json.dumps(body), status, headers, media_type="application/json")


def refusal(status: int, detail: object | None = None) -> Response:
    """Return an error answer; without a detail it holds the status's own phrase."""
    return answer({"detail": phrase(status) if detail is None else detail}, status)


def phrase(status: int) -> str:
    """Return the phrase of an HTTP status, even of an unknown one."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def submitted(task: Task, host_url: str) -> dict[str, object]:
    """Return AsyncWebhookResponse for a task with a webhook, else AsyncResponse (BFL OpenAPI)."""
    model = task.request.model
    charges: dict[str, object] = {"cost": None, "input_mp": None, "output_mp": None}
    if model.cost_on_submit:
        charges = {"cost": model.price, "input_mp": task.input_mp, "output_mp": task.output_mp}
    url = task.request.webhook_url
    if url is not None:
        return {"id": task.id, "status": "Pending", "webhook_url": url, **charges}
    return {"id": task.id, "polling_url": f"{host_url}/v1/get_result?id={task.id}", **charges}


def odd_submit_answer(shape: str, task: Task, told: dict[str, object], host_url: str) -> Response:
    """Return an odd answer to an accepted submit, in one of `SHAPES`."""
    if shape == "html":
        return Response("<!doctype html><title>Welcome</title>", media_type="text/html")
    query = f"/v1/get_result?id={task.id}"
    body: object = {
        "number_id": told | {"id": int(task.id) if task.id.isdigit() else task.id},
        "polling_url": {**told, "id": None, "polling_url": f"{host_url}{query}"},
        "foreign_url": told | {"polling_url": f"{ELSEWHERE}{query}"},
        "nothing": {},
        "list": [told],
    }[shape]
    return answer(body)


def polled(task: Task, now: float) -> dict[str, object]:
    """Return ResultResponse, with the final cost once there is a result (BFL OpenAPI)."""
    result = task.result()
    cost = {} if result is None else {"cost": task.request.model.price}
    return {
        "id": task.id,
        "status": task.status_at(now),
        "result": result,
        "progress": task.progress(now),
        "details": task.details,
        "preview": None,
        **cost,
    }


def odd_result_answer(body: dict[str, object], plan: PollPlan) -> dict[str, object]:
    """Return ResultResponse in the odd form that faults ask for."""
    if plan.odd is not None:
        body = {**body, "result": odd(body["result"], plan.odd)}
    if plan.swelling:
        details = body["details"] if isinstance(body["details"], dict) else {}
        body = {**body, "details": {**details, "trace": "x" * plan.swelling}}
    return body


def redirection(url: str) -> Response:
    """Return a redirect to another host."""
    return Response(status_code=307, headers={"location": url})


def failed(task_id: str, error: str) -> dict[str, object]:
    """Return ResultResponse of a task that failed for this reason."""
    empty = dict.fromkeys(("result", "progress", "preview"))
    return {"id": task_id, "status": Status.ERROR, "details": {"error": error}, **empty}


def chosen(asked: Mapping[str, object]) -> Response:
    """Return the answer that a fault asks for: its `status`, `body` and `Retry-After`."""
    status, after = int(str(asked["status"])), asked.get("retry_after")
    if after is not None and asked.get("retry_form") == "date":
        after = formatdate(time.time() + int(str(after)), usegmt=True)
    body = {"detail": phrase(status)} if asked.get("body") is None else asked["body"]
    return answer(body, status, None if after is None else {"retry-after": str(after)})


def not_found(task_id: str) -> dict[str, object]:
    """Return ResultResponse for an unknown id."""
    empty = dict.fromkeys(("result", "progress", "details", "preview"))
    return {"id": task_id, "status": "Task not found", **empty}
