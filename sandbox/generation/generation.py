"""Runs accepted tasks to their end; images are drawn off the event loop."""

import asyncio
import hashlib
import logging
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sandbox.generation.drawing import Scene, draw
from sandbox.generation.encoding import CONTENT_TYPES, encode
from sandbox.requests import inputs
from sandbox.settings import Settings
from sandbox.statuses import BAD_INPUT, Ending, Status, failure
from sandbox.tasks.hosts import Hosts
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.results import ImageCache, Signer
from sandbox.tasks.tasks import Sample, Task, TaskBook
from sandbox.webhooks.delivery import WebhookSender

#: Seconds for which a finished image can be downloaded.
RESULT_SECONDS: Final = 600.0
#: Images drawn concurrently; drawing needs CPU, and the machine has other work.
DRAWING_THREADS: Final = 2

log = logging.getLogger(__name__)


class Generator:
    """Runs tasks to their end."""

    def __init__(
        self,
        *,
        settings: Settings,
        book: TaskBook,
        ledger: Ledger,
        image_cache: ImageCache,
        webhook_sender: WebhookSender,
        hosts: Hosts,
        signer: Signer,
    ) -> None:
        self._settings = settings
        self._book = book
        self._ledger = ledger
        self._image_cache = image_cache
        self._webhook_sender = webhook_sender
        self._hosts = hosts
        self._signer = signer
        self._threads = ThreadPoolExecutor(DRAWING_THREADS, thread_name_prefix="drawing")
        self._running: set[asyncio.Task[asyncio.Event]] = set()

    def seconds(self, number: int) -> float:
        """Return the duration of the task with this number: the same in every run."""
        low, high = self._settings.generation_seconds
        digest = hashlib.sha256(str(number).encode()).digest()
        share = int.from_bytes(digest[:4], "big") / 0xFFFFFFFF
        return (low + (high - low) * share) * self._settings.time_scale

    def start(self, task: Task) -> asyncio.Task[asyncio.Event]:
        """Run the task in the background.

        `outcome` is the event of the first webhook attempt.
        """
        due_at = asyncio.get_running_loop().time() + task.generation_seconds
        running = asyncio.create_task(self._run(task, due_at))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return running

    async def picture(self, task: Task) -> bytes:
        """Return the bytes of a ready task's image, drawn again if they are no longer cached."""
        token = task.sample.token if task.sample else ""
        data = self._image_cache.get(token)
        return await self._threaded(task) if data is None else data

    async def close(self) -> None:
        """Cancel the tasks that are still running."""
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, task: Task, due_at: float) -> asyncio.Event:
        """Run a task to its end: at `due_at` (loop time), or when its image is drawn, if later.

        It is drawn while the task runs; drawn afterwards, it would hold its slot for longer.
        """
        try:
            made = await self._draw_or_fail(task)
        except Exception:
            log.exception("task=%s could not be drawn", task.id)
            made = failure("Internal error")
        await asyncio.sleep(due_at - asyncio.get_running_loop().time())
        if isinstance(made, bytes):
            task.sample = self._sample(task, made)
        ending = made if isinstance(made, Ending) else None
        status = Status.READY if ending is None else ending.status
        task.details = None if ending is None else ending.details
        now = time.time()
        if status is Status.READY:
            self._image_cache.sweep(now)
        self._book.finish(task, status, now)
        self._ledger.finished(task, now)
        log.info("task=%s ended status=%s", task.id, status.replace(" ", "-"))
        return self._webhook_sender.send(task, now)

    async def _draw_or_fail(self, task: Task) -> bytes | Ending:
        """Draw the image, or return the task's outcome without one."""
        if task.ending is not None:
            return task.ending
        if task.request.pictures:
            unreadable: bool = await asyncio.to_thread(inputs.broken, task.request)
            if unreadable:
                return BAD_INPUT
        return await self._threaded(task)

    def _sample(self, task: Task, data: bytes) -> Sample:
        expires_at = time.time() + RESULT_SECONDS * self._settings.time_scale
        token = secrets.token_hex(16)
        extension = task.request.output_format
        url = self._signer.url(
            self._hosts.url(task.region), token, extension, CONTENT_TYPES[extension], expires_at
        )
        self._image_cache.put(token, data, expires_at)
        return Sample(token, url, expires_at, len(data), hashlib.sha256(data).hexdigest())

    async def _threaded(self, task: Task) -> bytes:
        request, side = task.request, task.detail_side
        scene = Scene(request.model.slug, request.prompt, task.seed, *task.size)
        loop = asyncio.get_running_loop()
        picture = await loop.run_in_executor(
            self._threads, lambda: encode(draw(scene, side), request.output_format)
        )
        return picture * task.pictures + bytes(task.padding)
