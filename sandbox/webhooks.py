"""Webhooks: their two shapes, and their delivery with retries."""

import asyncio
import json
import logging
import time
from typing import Final

import httpx

from sandbox.ledger import Ledger
from sandbox.mischief import Mischief
from sandbox.plans import WebhookPlan
from sandbox.results import instant
from sandbox.settings import Settings
from sandbox.tasks import Status, Task

#: Seconds before each retry of a webhook that was not answered with 2xx; then it is given up.
RETRY_WAITS: Final = (1.0, 5.0, 30.0)
#: Seconds a receiver has for its answer.
ANSWER_SECONDS: Final = 30.0
SECRET_HEADER: Final = "X-Webhook-Secret"  # noqa: S105 - the header's name, no secret

log = logging.getLogger(__name__)


class Courier:
    """Delivers the webhooks of ended tasks, each in its own background task."""

    def __init__(
        self, settings: Settings, ledger: Ledger, mischief: Mischief, client: httpx.AsyncClient
    ) -> None:
        self._scale = settings.time_scale
        self._shape = settings.webhook_shape
        self._ledger = ledger
        self._mischief = mischief
        self._client = client
        self._running: set[asyncio.Task[None]] = set()

    def send(self, task: Task, now: float) -> asyncio.Event:
        """Start the delivery; the event is set once the first attempt was made, if one is."""
        tried = asyncio.Event()
        url = task.request.webhook_url
        if url is None:
            tried.set()
            return tried
        body = webhook_body(task, self._shape_of(task), now)
        plan = self._mischief.apply(WebhookPlan(body), task.request.prompt)
        running = asyncio.create_task(self._deliver(task, url, plan, tried))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return tried

    async def close(self) -> None:
        """Give up what is not delivered yet."""
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
            content = json.dumps(plan.body).encode()
            copies = (self._attempts(task, url, content, tried) for _ in range(plan.copies))
            await asyncio.gather(*copies)
        finally:
            tried.set()

    async def _attempts(self, task: Task, url: str, content: bytes, tried: asyncio.Event) -> None:
        for attempt, wait in enumerate((0.0, *RETRY_WAITS), start=1):
            await asyncio.sleep(wait * self._scale)
            delivered = await self._attempt(task, url, content, attempt)
            tried.set()
            if delivered:
                return
        log.warning("webhook task=%s given up", task.id)

    async def _attempt(self, task: Task, url: str, content: bytes, attempt: int) -> bool:
        headers = {"content-type": "application/json"}
        secret = task.request.webhook_secret
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        if secret is not None:
            fields.append((SECRET_HEADER.encode(), secret.encode()))
        try:
            async with asyncio.timeout(ANSWER_SECONDS * self._scale):
                answer = await self._client.post(url, content=content, headers=fields)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # TimeoutError is an OSError; its text is empty, so the class names it.
            reason = f"{type(error).__name__}: {error}".removesuffix(": ")
            self._ledger.delivery(task, attempt, time.time(), error=reason)
            log.info("webhook task=%s attempt=%d error=%s", task.id, attempt, type(error).__name__)
            return False
        self._ledger.delivery(task, attempt, time.time(), status=answer.status_code)
        log.info("webhook task=%s attempt=%d status=%d", task.id, attempt, answer.status_code)
        return answer.is_success


def webhook_body(task: Task, shape: str, now: float) -> dict[str, object]:
    """Return the body for an ended task in one of the shapes `id` and `task_id`."""
    result = task.result()
    if shape == "task_id":
        status = "SUCCESS" if task.status is Status.READY else task.status.upper()
        body: dict[str, object] = {"task_id": task.id, "status": status, "result": result}
    else:
        body = {"id": task.id, "status": task.status, "result": result}
    if task.status is not Status.READY:
        return {**body, "details": task.details}
    return {**body, "timestamp": instant(now)} if shape == "id" else body
