"""Additional webhooks that faults send along with the true one."""

import uuid

from sandbox.faults.behavior import Delivery, WebhookPlan
from sandbox.faults.odd_results import odd


def forge(plan: WebhookPlan, secret: str, sample: str) -> None:
    """Send one with a wrong secret before it."""
    body = {key: value for key, value in plan.delivery.body.items() if key != "details"}
    status = "SUCCESS" if "task_id" in body else "Ready"
    result = {"sample": sample, "prompt": "forged", "seed": 0}
    plan.before.append(Delivery({**body, "status": status, "result": result}, secret or None, True))


def report_progress(plan: WebhookPlan, text: str) -> None:
    """Send one that reports progress before and after it."""
    name = _id_field(plan)
    body = {name: plan.delivery.body[name], "status": text, "result": None}
    plan.before.append(Delivery(body, plan.delivery.secret))
    plan.after.append(Delivery(body, plan.delivery.secret))


def tell_of_another_task(plan: WebhookPlan, status: str) -> None:
    """Send one about another task, with the right secret, before it."""
    body = plan.delivery.body
    other: dict[str, object] = {_id_field(plan): str(uuid.uuid4()), "status": status}
    other |= {"result": odd(body.get("result"), "dead") if status == "Ready" else None}
    plan.before.append(Delivery(other, plan.delivery.secret))


def _id_field(plan: WebhookPlan) -> str:
    return "task_id" if "task_id" in plan.delivery.body else "id"
