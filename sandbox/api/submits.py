"""Submits: turns a request's bytes into a task, or into a refusal."""

import asyncio
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox.api.answers import answer, chosen, odd_submit_answer, refusal, submitted
from sandbox.faults.behavior import Circumstances, SubmitPlan
from sandbox.faults.injection import FaultInjection
from sandbox.generation.generation import Generator
from sandbox.refusals import RefusedError
from sandbox.requests import inputs, validation
from sandbox.requests.clips import Clip
from sandbox.requests.finetunes import Finetunes
from sandbox.requests.inputs import FileInfo
from sandbox.requests.models import Model
from sandbox.requests.sizes import Size, scaled
from sandbox.server.connections import Connections
from sandbox.server.transmission import sent
from sandbox.settings import Settings
from sandbox.statuses import Ending, asked_ending, failure
from sandbox.tasks.accounts import Accounts, CreditBalances
from sandbox.tasks.drafts import Drafts
from sandbox.tasks.hosts import GLOBAL, Hosts
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.tasks import SlotsFullError, Task, TaskBook, new_task_id

#: Maximum request body in bytes: ten input images of 20 MB as base64, and some more.
BODY_BYTES_MAX: Final = 320 * 1024 * 1024
#: Bodies above this many bytes are parsed off the event loop.
BODY_BYTES_LARGE: Final = 1024 * 1024
#: Upper bound of generated seeds.
SEED_LIMIT: Final = 2**32


@dataclass(frozen=True)
class TaskOrder:
    """A task to be created: its account, its host and its plan."""

    account: str
    host: str
    request: validation.Request
    plan: SubmitPlan


@dataclass(frozen=True)
class Submits:
    """Handles submits."""

    settings: Settings
    hosts: Hosts
    accounts: Accounts
    credit_balances: CreditBalances
    finetunes: Finetunes
    drafts: Drafts
    book: TaskBook
    ledger: Ledger
    generator: Generator
    faults: FaultInjection
    connections: Connections
    _late: set[asyncio.Task[None]] = field(default_factory=set)

    async def submit(self, model: Model, request: Request) -> Response:
        """Create a task, or record the refusal."""
        try:
            order = await self._read_order(model, request)
            asked = order.plan.refusal
            if asked is None:
                return await self._accept(order, request)
            self.ledger.rejected(int(str(asked["status"])), time.time())
            return await sent(order.plan, chosen(asked))
        except RefusedError as error:
            self.ledger.rejected(error.status, time.time())
            return refusal(error.status, error.detail)

    async def close(self) -> None:
        """Cancel the tasks that are not created yet."""
        for running in self._late:
            running.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _read_order(self, model: Model, request: Request) -> TaskOrder:
        """Read and check a request.

        Raises:
            RefusedError: The key, the body or the finetune is not accepted.
        """
        account = self.accounts.of(request)
        asked = self.drafts.completed(await _read(model, request), time.time())
        self.finetunes.require(account, asked.values.get("finetune_id"))
        host = self.hosts.asked(request)
        where = Circumstances(host, account, model.slug, asked.prompt)
        return TaskOrder(account, host, asked, self.faults.apply(SubmitPlan(), where))

    async def _accept(self, order: TaskOrder, request: Request) -> Response:
        plan = order.plan
        if plan.cut_lead:
            making = asyncio.create_task(self._create_late(order))
            self._late.add(making)
            making.add_done_callback(self._late.discard)
            await self.connections.cut(request)
            return answer(None)  # the client has disconnected
        task = await self._create_task(order)
        running = self.generator.start(task)
        if plan.instant:
            first_attempt = await running
            await first_attempt.wait()
        if plan.cut:
            await self.connections.cut(request)
        if plan.failure is not None:
            return await sent(plan, chosen(plan.failure))
        told = submitted(task, self.hosts.url(task.region))
        if plan.shape is not None:
            return await sent(
                plan, odd_submit_answer(plan.shape, task, told, self.hosts.url(task.region))
            )
        return await sent(plan, answer(told))

    async def _create_late(self, order: TaskOrder) -> None:
        """Create the task after its client has disconnected."""
        await asyncio.sleep(order.plan.cut_lead)
        try:
            self.generator.start(await self._create_task(order))
        except RefusedError as error:
            self.ledger.rejected(error.status, time.time())

    async def _create_task(self, order: TaskOrder) -> Task:
        """Create the task, unless the account has no credits or no free slot.

        Raises:
            RefusedError: No credits, or no free slot.
        """
        self._require_room(order)
        infos: list[FileInfo] = []
        if order.request.files:
            infos = await asyncio.to_thread(inputs.inspect_files, order.request)
            # Other submits may have taken the room meanwhile.
            self._require_room(order)
        task = self._task(order, infos)
        self.book.add(task)
        self.ledger.created(task, task.created_at)
        return task

    def _require_room(self, order: TaskOrder) -> None:
        model = order.request.model
        self.credit_balances.require(order.account, model.price)
        try:
            self.book.require_slot(order.account, model.limited_as)
        except SlotsFullError as error:
            raise RefusedError(429, f"Too many active tasks: the limit is {error}") from error

    def _task(self, order: TaskOrder, infos: list[FileInfo]) -> Task:
        request, plan, number = order.request, order.plan, len(self.book)
        sizes = {info.file.name: info.size for info in infos if info.size}
        region = plan.region if order.host == GLOBAL else None
        seconds = 0.0 if plan.instant else self.generator.seconds(number) + plan.generation_wait
        stages, clip = self.settings.stages, _clip(request, infos)
        size = request.model.size(request.values, sizes)
        return Task(
            id=new_task_id(numeric=plan.shape == "number_id"),
            number=number,
            account=order.account,
            request=request,
            shown=inputs.redacted_body(request, infos),
            seed=secrets.randbelow(SEED_LIMIT) if request.seed is None else request.seed,
            size=scaled(size, self.settings.video_scale) if clip else size,
            generation_seconds=seconds,
            created_at=time.time(),
            region=region or self.hosts.region_of(order.host, number),
            host=order.host,
            input_mp=round(sum(wide * high for wide, high in sizes.values()) / 1_000_000, 2),
            clip=clip,
            pictures=plan.pictures,
            padding=plan.padding,
            file_bytes=self.settings.file_bytes.get("video" if clip else "image", 0),
            ending=plan.ending or asked_ending(request.prompt) or _flaw(request, infos, sizes),
            staged=stages == "all" or (stages == "model" and request.model.staged),
            detail_side=self.settings.image_side,
        )


def _clip(request: validation.Request, infos: list[FileInfo]) -> Clip | None:
    """Return what is asked of a video; None if an image is asked for."""
    videos = {info.file.name: info.video for info in infos if info.video}
    rule = request.model.clip
    return None if rule is None else rule(request.values, request.files, videos)


def _flaw(
    request: validation.Request, infos: list[FileInfo], sizes: Mapping[str, Size]
) -> Ending | None:
    """Return the outcome of a task that cannot have a result, None if it can."""
    model = request.model
    reason = (
        request.problem
        or inputs.problem(request, infos)
        or model.flaw(request.values, sizes, model.size(request.values, sizes))
    )
    return failure(reason) if reason else None


async def _read(model: Model, request: Request) -> validation.Request:
    body = await read_body(request)
    if len(body) > BODY_BYTES_LARGE:
        return await asyncio.to_thread(_validated, model, body)
    return _validated(model, body)


async def read_body(request: Request) -> bytearray:
    """Return a request's body.

    Raises:
        RefusedError: It is too large or truncated.
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
    """Turn validation errors into the API's answers.

    Raises:
        RefusedError: In place of a validation error.
    """
    try:
        yield
    except validation.InvalidBodyError as error:
        raise RefusedError(422, error.detail) from error
    except validation.UnreadableBodyError as error:
        raise RefusedError(400, str(error)) from error
