"""The events of one job: each status of its timeline, numbered from 1."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request

from core.errors import StoreUnavailable
from core.jobs.job import Job
from core.jobs.views import job_view, timestamp
from service.watch.frames import KEEP_ALIVE, begin, end, frame
from service.watch.hub import Hub
from service.watch.mailbox import Closed
from service.watch.waiters import Kind

#: Comments in a silent stream after which the job is looked up again.
_LOOK_EVERY: Final = 4


async def job_events(
    hub: Hub, request: Request[Any], job: Job, load: Callable[[], Awaitable[Job | None]], sent: int
) -> AsyncGenerator[bytes, None]:
    """Yield the later statuses of a job, until it has ended.

    Events only wake it: what is sent is read from the job, so nothing is left out or sent twice. An
    event may be lost with a Redis server that fails, so it also looks now and then.

    Args:
        hub: Where events are told.
        request: The request.
        job: The job.
        load: Loads it again.
        sent: The number of the last status that the client knows.
    """
    tenant = job.request.tenant
    async with hub.mailbox(job.id, request, tenant=tenant, kind=Kind.JOB_EVENTS) as box:
        yield begin()
        why = Closed.LEFT
        while True:
            try:
                job = await load() or job
            except StoreUnavailable:
                why = Closed.LOST
                break
            if len(job.timeline) > sent:
                yield b"".join(_frames(job, sent))
                sent = len(job.timeline)
            if job.ended_at is not None:
                return
            for _ in range(_LOOK_EVERY):
                if await box.take(hub.keep_alive) or box.closed:
                    break
                yield KEEP_ALIVE
            if box.closed:
                why = box.closed
                break
    yield end(why)


def _frames(job: Job, sent: int) -> list[bytes]:
    view = job_view(job)
    return [
        frame(f"job.{status}", {"job": view, "status": status, "at": timestamp(at)}, str(number))
        for number, (status, at) in enumerate(job.timeline, 1)
        if number > sent
    ]
