"""Submits: from a request's bytes to a task, with the refusals on the way."""

import asyncio
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox.api.answers import answer, chosen, misshapen, refusal, submitted
from sandbox.faults.behavior import Circumstances, SubmitPlan
from sandbox.faults.injection import Mischief
from sandbox.generation.generation import Studio
from sandbox.refusals import RefusedError
from sandbox.requests import inputs, validation
from sandbox.requests.finetunes import Finetunes
from sandbox.requests.inputs import Look
from sandbox.requests.models import Model
from sandbox.server.connections import Connections
from sandbox.server.transmission import sent
from sandbox.settings import Settings
from sandbox.statuses import BAD_INPUT, Ending, asked_ending, failure
from sandbox.tasks.accounts import Accounts, Purse
from sandbox.tasks.hosts import GLOBAL, Hosts
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.tasks import SlotsFullError, Task, TaskBook, new_task_id

#: Largest request body in bytes: eight input images of 20 MB as base64, and some.
BODY_BYTES_MAX: Final = 256 * 1024 * 1024
#: Bodies beyond so many bytes are read off the event loop.
BODY_BYTES_LARGE: Final = 1024 * 1024
#: Seeds that are chosen for the caller are below this.
SEED_LIMIT: Final = 2**32


@dataclass(frozen=True)
class Wanted:
    """A task that is to be made: for whom, by which host, and what of it is settled."""

    account: str
    host: str
    request: validation.Request
    plan: SubmitPlan


@dataclass(frozen=True)
class Submits:
    """Takes submits, with all that it needs for them."""

    settings: Settings
    hosts: Hosts
    accounts: Accounts
    purse: Purse
    finetunes: Finetunes
    book: TaskBook
    ledger: Ledger
    studio: Studio
    mischief: Mischief
    connections: Connections
    _late: set[asyncio.Task[None]] = field(default_factory=set)

    async def submit(self, model: Model, request: Request) -> Response:
        """Take a task, or count the refusal."""
        try:
            wanted = await self._wanted(model, request)
            asked = wanted.plan.refusal
            if asked is None:
                return await self._taken(wanted, request)
            self.ledger.rejected(int(str(asked["status"])), time.time())
            return await sent(wanted.plan, chosen(asked))
        except RefusedError as error:
            self.ledger.rejected(error.status, time.time())
            return refusal(error.status, error.detail)

    async def close(self) -> None:
        """Give up the tasks that are not made yet."""
        for running in self._late:
            running.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _wanted(self, model: Model, request: Request) -> Wanted:
        """Read a request whose sender may ask for what it says.

        Raises:
            RefusedError: If the key, the body or the finetune cannot be accepted.
        """
        account = self.accounts.of(request)
        asked = await _read(model, request)
        self.finetunes.require(account, asked.values.get("finetune_id"))
        host = self.hosts.asked(request)
        where = Circumstances(host, account, model.slug, asked.prompt)
        return Wanted(account, host, asked, self.mischief.apply(SubmitPlan(), where))

    async def _taken(self, wanted: Wanted, request: Request) -> Response:
        plan = wanted.plan
        if plan.cut_lead:
            making = asyncio.create_task(self._make_late(wanted))
            self._late.add(making)
            making.add_done_callback(self._late.discard)
            await self.connections.cut(request)
            return answer(None)  # to nobody
        task = await self._made(wanted)
        running = self.studio.start(task)
        if plan.instant:
            first_attempt = await running
            await first_attempt.wait()
        if plan.cut:
            await self.connections.cut(request)
        if plan.failure is not None:
            return await sent(plan, chosen(plan.failure))
        told = submitted(task, self.hosts.url(task.region))
        if plan.shape is not None:
            return await sent(plan, misshapen(plan.shape, task, told, self.hosts.url(task.region)))
        return await sent(plan, answer(told))

    async def _make_late(self, wanted: Wanted) -> None:
        """Make the task when its sender has long gone."""
        await asyncio.sleep(wanted.plan.cut_lead)
        try:
            self.studio.start(await self._made(wanted))
        except RefusedError as error:
            self.ledger.rejected(error.status, time.time())

    async def _made(self, wanted: Wanted) -> Task:
        """Make the task, unless the account has no credits or no free slot.

        Raises:
            RefusedError: If it has not.
        """
        self._require_room(wanted)
        looks: list[Look] = []
        if wanted.request.pictures:
            looks = await asyncio.to_thread(inputs.glance, wanted.request)
            # Others may have come in the meantime.
            self._require_room(wanted)
        task = self._task(wanted, looks)
        self.book.add(task)
        self.ledger.created(task, task.created_at)
        return task

    def _require_room(self, wanted: Wanted) -> None:
        model = wanted.request.model
        self.purse.require(wanted.account, model.price)
        try:
            self.book.require_slot(wanted.account, model.slug)
        except SlotsFullError as error:
            raise RefusedError(429, f"Too many active tasks: the limit is {error}") from error

    def _task(self, wanted: Wanted, looks: list[Look]) -> Task:
        request, plan, number = wanted.request, wanted.plan, len(self.book)
        sizes = {look.name: look.size for look in looks if look.size}
        region = plan.region if wanted.host == GLOBAL else None
        seconds = 0.0 if plan.instant else self.studio.seconds(number) + plan.generation_wait
        stages = self.settings.stages
        return Task(
            id=new_task_id(),
            number=number,
            account=wanted.account,
            request=request,
            shown=inputs.presentable(request, looks),
            seed=secrets.randbelow(SEED_LIMIT) if request.seed is None else request.seed,
            size=request.model.size(request.values, sizes),
            generation_seconds=seconds,
            created_at=time.time(),
            region=region or self.hosts.region_of(wanted.host, number),
            host=wanted.host,
            input_mp=round(sum(wide * high for wide, high in sizes.values()) / 1_000_000, 2),
            pictures=plan.pictures,
            padding=plan.padding,
            ending=plan.ending or asked_ending(request.prompt) or _flaw(request, looks, sizes),
            staged=stages == "all" or (stages == "model" and request.model.staged),
            detail_side=self.settings.image_side,
        )


def _flaw(
    request: validation.Request, looks: list[Look], sizes: Mapping[str, tuple[int, int]]
) -> Ending | None:
    """Return how a task ends that cannot have a picture, None if it can."""
    if inputs.unusable(request, looks):
        return BAD_INPUT
    model = request.model
    reason = model.flaw(request.values, sizes, model.size(request.values, sizes))
    return failure(reason) if reason else None


async def _read(model: Model, request: Request) -> validation.Request:
    body = await read_body(request)
    if len(body) > BODY_BYTES_LARGE:
        return await asyncio.to_thread(_validated, model, body)
    return _validated(model, body)


async def read_body(request: Request) -> bytearray:
    """Return a request's body.

    Raises:
        RefusedError: If it is too large or ends too early.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise RefusedError(413, "Request body too large")
    except ClientDisconnect as error:
        raise RefusedError(400, "The body was cut off") from error
    return body


def _validated(model: Model, body: bytearray) -> validation.Request:
    with refusing():
        return validation.validate(model, validation.parse_json(body))


@contextmanager
def refusing() -> Iterator[None]:
    """Turn the complaints about a body into the answers of the API.

    Raises:
        RefusedError: In their place.
    """
    try:
        yield
    except validation.InvalidBodyError as error:
        raise RefusedError(422, error.detail) from error
    except validation.UnreadableBodyError as error:
        raise RefusedError(400, str(error)) from error
