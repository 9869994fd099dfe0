"""Webhooks: their two formats, and their delivery with retries."""

import asyncio
import json
import logging
import time
from typing import Final

import httpx

from sandbox.faults.behavior import Circumstances, Delivery, WebhookPlan
from sandbox.faults.injection import FaultInjection
from sandbox.settings import Settings
from sandbox.statuses import Status
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.results import instant
from sandbox.tasks.tasks import Task
from sandbox.webhooks.outgoing import HttpSender

#: Seconds before each retry of a webhook that got no 2xx; after the last one it is given up.
RETRY_WAITS: Final = (1.0, 5.0, 30.0)
#: Seconds a receiver has to answer.
ANSWER_SECONDS: Final = 30.0
SECRET_HEADER: Final = "X-Webhook-Secret"  # noqa: S105 - the header's name, no secret

log = logging.getLogger(__name__)


class WebhookSender:
    """Delivers the webhooks of ended tasks, each in its own background task."""

    def __init__(
        self, settings: Settings, ledger: Ledger, faults: FaultInjection, http_sender: HttpSender
    ) -> None:
        self._scale = settings.time_scale
        self._shape = settings.webhook_shape
        self._ledger = ledger
        self._faults = faults
        self._http_sender = http_sender
        self._running: set[asyncio.Task[None]] = set()
        #: Set when another task's webhook was attempted; for webhooks that wait to be overtaken.
        self._yielding: list[asyncio.Event] = []

    def send(self, task: Task, now: float) -> asyncio.Event:
        """Start the delivery; the event is set after the first attempt, if there is one."""
        tried = asyncio.Event()
        url = None if task.muted else task.request.webhook_url
        if url is None:
            tried.set()
            return tried
        delivery = Delivery(
            webhook_body(task, self._shape_of(task), now), task.request.webhook_secret
        )
        where = Circumstances(
            task.host, task.account, task.request.model.slug, task.request.prompt, task.id
        )
        plan = self._faults.apply(WebhookPlan(delivery), where)
        running = asyncio.create_task(self._deliver(task, url, plan, tried))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return tried

    async def close(self) -> None:
        """Cancel all deliveries."""
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _shape_of(self, task: Task) -> str:
        if self._shape == "alternate":
            return "id" if task.number % 2 else "task_id"
        return self._shape

    async def _deliver(self, task: Task, url: str, plan: WebhookPlan, tried: asyncio.Event) -> None:
        try:
            await asyncio.sleep(plan.wait)
            if plan.yielding:
                await self._overtaken(plan.yielding)
            for delivery in plan.before:
                await self._attempt(task, url, delivery, 1)
            copies = (self._attempts(task, url, plan.delivery, tried) for _ in range(plan.copies))
            await asyncio.gather(*copies)
            for delivery in plan.after:
                await self._attempt(task, url, delivery, 1)
        finally:
            tried.set()

    async def _overtaken(self, patience: float) -> None:
        """Wait for another task's webhook; if two wait, the later one goes first."""
        if self._yielding:
            return
        overtaken = asyncio.Event()
        self._yielding.append(overtaken)
        try:
            await asyncio.wait_for(overtaken.wait(), patience)
        except TimeoutError:
            self._yielding.remove(overtaken)

    async def _attempts(
        self, task: Task, url: str, delivery: Delivery, tried: asyncio.Event
    ) -> None:
        for attempt, wait in enumerate((0.0, *RETRY_WAITS), start=1):
            await asyncio.sleep(wait * self._scale)
            delivered = await self._attempt(task, url, delivery, attempt)
            tried.set()
            while self._yielding:
                self._yielding.pop().set()
            if delivered:
                return
        log.warning("webhook task=%s given up", task.id)

    async def _attempt(self, task: Task, url: str, delivery: Delivery, attempt: int) -> bool:
        fields = [(b"content-type", b"application/json")]
        if delivery.secret is not None:
            fields.append((SECRET_HEADER.encode(), delivery.secret.encode()))
        content = json.dumps(delivery.body).encode()
        mark = {"forged": True} if delivery.forged else {}
        try:
            async with asyncio.timeout(ANSWER_SECONDS * self._scale):
                status = await self._http_sender.post(url, content, fields)
        except (httpx.InvalidURL, OSError) as error:
            # TimeoutError is an OSError with an empty text, so its class name is used.
            reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            self._ledger.delivery(task, attempt, time.time(), error=reason, **mark)
            log.info("webhook task=%s attempt=%d error=%s", task.id, attempt, type(error).__name__)
            return False
        self._ledger.delivery(task, attempt, time.time(), status=status, **mark)
        log.info("webhook task=%s attempt=%d status=%d", task.id, attempt, status)
        return 200 <= status < 300  # noqa: PLR2004 - HTTP's successes


def webhook_body(task: Task, shape: str, now: float) -> dict[str, object]:
    """Return the body for an ended task in one of the formats `id` and `task_id`."""
    result = task.result()
    if shape == "task_id":
        status = "SUCCESS" if task.status is Status.READY else task.status.upper()
        body: dict[str, object] = {"task_id": task.id, "status": status, "result": result}
    else:
        body = {"id": task.id, "status": task.status, "result": result}
    if task.status is not Status.READY:
        return {**body, "details": task.details}
    return {**body, "timestamp": instant(now)} if shape == "id" else body
