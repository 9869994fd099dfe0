"""The events of all jobs of a tenant, as they come and, on request, of the last hour."""

from collections.abc import AsyncGenerator, Container
from functools import lru_cache
from typing import Any, Final, NamedTuple

from starlette.requests import Request

from core.errors import StoreUnavailable
from core.jobs.views import timestamp
from core.redis.events.event import Event
from core.redis.events.event_log import EventLog
from service.watch.frames import begin, end, frame, keep_alive
from service.watch.hub import Hub, tenant_key
from service.watch.mailbox import Closed
from service.watch.waiters import Kind

_GONE: Final = "Events before this one are gone; list jobs to catch up"


class Wanted(NamedTuple):
    """Which events a client wants."""

    tenant: str
    statuses: Container[str] | None = None
    batch: str | None = None
    #: The id of the last event that it knows; None: it wants those from now on.
    last: str | None = None


async def tenant_events(
    hub: Hub, log: EventLog, request: Request[Any], wanted: Wanted
) -> AsyncGenerator[bytes, None]:
    """Yield events, without end.

    Args:
        hub: Where new events are told.
        log: Where past events are read.
        request: The request.
        wanted: Which events.
    """
    tenant, statuses, batch, last = wanted
    key, kind = tenant_key(tenant), Kind.EVENTS
    async with hub.mailbox(key, request, statuses, batch, tenant=tenant, kind=kind) as box:
        position = hub.stream.position(tenant)
        resume = last is not None and await log.resume_from(tenant, last)
        yield begin(None if resume else str(position))
        if last is not None and not resume:
            yield frame("reset", {"detail": _GONE}, str(position))
        if resume:
            # Events that come meanwhile are in the mailbox; those up to `position` are sent here.
            position = resume
            try:
                while past := await log.after(tenant, position):
                    position = past[-1].id
                    sent = b"".join(_frame(one) for one in past if box.admits(one))
                    yield sent or keep_alive(str(position))
            except StoreUnavailable:
                box.close(Closed.LOST)
        while not box.closed:
            new = [one for one in await box.take(hub.keep_alive) if one.id > position]
            if new:
                yield b"".join(map(_frame, new))
            elif not box.closed:
                # All up to there have been in the mailbox.
                yield keep_alive(str(max(position, hub.stream.position(tenant))))
    yield end(box.closed)


@lru_cache(maxsize=1024)  # many streams send the same events
def _frame(one: Event) -> bytes:
    name = f"job.{one.status}" if one.job else f"batch.{one.status}"
    data = {
        "job_id": one.job or None,
        "status": one.status,
        "at": timestamp(one.at),
        "batch": one.batch or None,
    }
    return frame(name, data, str(one.id))
