"""Runs accepted tasks to their end; their files are made off the event loop."""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sandbox.generation.drawing import Scene, draw
from sandbox.generation.encoding import CONTENT_TYPES, encode
from sandbox.generation.mp4 import video_file
from sandbox.requests import inputs
from sandbox.settings import Settings
from sandbox.statuses import Ending, Status, failure
from sandbox.tasks.drafts import Drafts
from sandbox.tasks.hosts import Hosts
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.results import Artifact, Content, FileCache, Role, Signer
from sandbox.tasks.tasks import Task, TaskBook
from sandbox.webhooks.delivery import WebhookSender

#: Files made concurrently; drawing needs CPU, and the machine has other work.
DRAWING_THREADS: Final = 2
#: Ending and MIME type of a draft's bundle.
BUNDLE_FORMAT: Final = "bin"
BUNDLE_TYPE: Final = "application/octet-stream"

Made = TypeVar("Made")

log = logging.getLogger(__name__)


class Generator:
    """Runs tasks to their end."""

    def __init__(
        self,
        *,
        settings: Settings,
        book: TaskBook,
        ledger: Ledger,
        file_cache: FileCache,
        drafts: Drafts,
        webhook_sender: WebhookSender,
        hosts: Hosts,
        signer: Signer,
    ) -> None:
        self._settings = settings
        self._book = book
        self._ledger = ledger
        self._file_cache = file_cache
        self._drafts = drafts
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

    async def content(self, task: Task, artifact: Artifact) -> Content:
        """Return the bytes of a ready task's file, made again if they are no longer cached."""
        if artifact.role is Role.DRAFT_CACHE:
            return Content(self._drafts.bundle(task))
        head = self._file_cache.get(artifact.token)
        if head is None:
            return await self._threaded(lambda: _made(task))
        return Content(head, artifact.size - len(head))

    async def close(self) -> None:
        """Cancel the tasks that are still running."""
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, task: Task, due_at: float) -> asyncio.Event:
        """Run a task to its end: at `due_at` (loop time), or when its files are made, if later.

        They are made while the task runs; made afterwards, they would hold its slot for longer.
        """
        try:
            made = await self._make_or_fail(task)
        except Exception:
            log.exception("task=%s has no result", task.id)
            made = failure("Internal error")
        await asyncio.sleep(due_at - asyncio.get_running_loop().time())
        ending = made if isinstance(made, Ending) else None
        if not isinstance(made, Ending):
            task.artifacts = self._published(task, *made)
        status = Status.READY if ending is None else ending.status
        task.details = None if ending is None else ending.details
        now = time.time()
        if status is Status.READY:
            self._file_cache.sweep(now)
        self._book.finish(task, status, now)
        self._ledger.finished(task, now)
        log.info("task=%s ended status=%s", task.id, status.replace(" ", "-"))
        return self._webhook_sender.send(task, now)

    async def _make_or_fail(self, task: Task) -> tuple[bytes, list[Artifact]] | Ending:
        """Return the sample's head and the facts of all files, or the task's outcome without."""
        if task.ending is not None:
            return task.ending
        if task.request.files:
            unreadable: bool = await asyncio.to_thread(inputs.broken, task.request)
            if unreadable:
                return failure(inputs.BAD_IMAGE)
        token = secrets.token_hex(16)

        def make() -> tuple[bytes, list[Artifact]]:
            sample = _made(task)
            artifacts = [Artifact.of(sample, Role.SAMPLE, token)]
            if task.has_draft_cache:
                bundle = Content(self._drafts.bundle(task))
                artifacts.append(Artifact.of(bundle, Role.DRAFT_CACHE, token))
            return sample.head, artifacts

        return await self._threaded(make)

    def _published(self, task: Task, head: bytes, made: list[Artifact]) -> tuple[Artifact, ...]:
        """Return the files with their URLs, which live from now on."""
        lifetime = task.request.model.link_seconds * self._settings.time_scale
        expires_at = time.time() + lifetime
        artifacts = []
        for artifact in made:
            is_sample = artifact.role is Role.SAMPLE
            ending = task.request.output_format if is_sample else BUNDLE_FORMAT
            content_type = CONTENT_TYPES[ending] if is_sample else BUNDLE_TYPE
            host, name = self._hosts.url(task.region), f"{artifact.role}.{ending}"
            url = self._signer.url(host, artifact.token, name, content_type, expires_at)
            artifacts.append(artifact.at(url, content_type, expires_at))
        self._file_cache.put(artifacts[0].token, head, expires_at)
        return tuple(artifacts)

    async def _threaded(self, make: Callable[[], Made]) -> Made:
        return await asyncio.get_running_loop().run_in_executor(self._threads, make)


def _made(task: Task) -> Content:
    """Return the image or video of a task: the same bytes each time."""
    request = task.request
    picture = draw(
        Scene(request.model.slug, request.prompt, task.seed, *task.size), task.detail_side
    )
    if task.clip is not None:
        return video_file(picture, task.clip, task.file_bytes, task.padding)
    head = encode(picture, request.output_format) * task.pictures
    return Content(head, max(0, task.file_bytes - len(head)) + task.padding)
