"""The provider's own routes: submit, get_result and credits."""

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import inputs, validation
from sandbox.answers import RefusedError, answer, not_found, phrase, polled, refusal, submitted
from sandbox.connections import Connections
from sandbox.generation import Studio
from sandbox.ledger import Ledger
from sandbox.mischief import Mischief
from sandbox.models import MODELS, Model
from sandbox.plans import SubmitPlan
from sandbox.settings import KEY_LENGTH_MIN, Settings
from sandbox.tasks import SlotsFullError, Status, Task, TaskBook, new_task_id

#: Largest request body in bytes: four input images of 20 MB as base64, and some.
BODY_BYTES_MAX: Final = 128 * 1024 * 1024
#: Seeds that are chosen for the caller are below this.
SEED_LIMIT: Final = 2**32
#: Credits every account starts with.
CREDITS: Final = 100_000.0


@dataclass(frozen=True)
class ProviderApi:
    """The routes and what they work with."""

    settings: Settings
    book: TaskBook
    ledger: Ledger
    studio: Studio
    mischief: Mischief
    connections: Connections

    def routes(self) -> list[Route]:
        """Return one route per model and the reading ones."""
        return [
            *(
                Route(f"/v1/{slug}", partial(self.submit, model), methods=["POST"])
                for slug, model in MODELS.items()
            ),
            Route("/v1/get_result", self.get_result),
            Route("/v1/credits", self.credits),
        ]

    async def submit(self, model: Model, request: Request) -> Response:
        """Take a task, or count the refusal."""
        try:
            response = await self._submit(model, request)
        except RefusedError as error:
            response = refusal(error.status, error.detail)
        if response.status_code >= 400:  # noqa: PLR2004 - where HTTP's errors begin
            self.ledger.rejected(response.status_code, time.time())
        return response

    async def get_result(self, request: Request) -> Response:
        """Say how a task stands. It needs no key, as in the BFL OpenAPI."""
        task_id = request.query_params.get("id")
        if task_id is None:
            place = {"type": "missing", "loc": ["query", "id"]}
            return refusal(422, [{**place, "msg": "Field required", "input": None}])
        task = self.book.find(task_id)
        if task is None:
            return answer(not_found(task_id), 404)
        return answer(polled(task, time.time()))

    async def credits(self, request: Request) -> Response:
        """Say what the account has left; a task costs its price once it is ready."""
        try:
            account = self._account(request)
        except RefusedError as error:
            return refusal(error.status, error.detail)
        spent = sum(
            task.request.model.price
            for task in self.book
            if task.account == account and task.status is Status.READY
        )
        return answer({"credits": CREDITS - spent})

    async def _submit(self, model: Model, request: Request) -> Response:
        account = self._account(request)
        wanted = _validated(model, await _body(request))
        plan = self.mischief.apply(SubmitPlan(), wanted.prompt)
        if plan.refusal is not None:
            return _refused(plan.refusal)
        task = await self._task(account, wanted, instant=plan.instant)
        running = self.studio.start(task)
        if plan.instant:
            first_attempt = await running
            await first_attempt.wait()
        await asyncio.sleep(plan.wait)
        if plan.cut:
            await self.connections.cut(request)
        return answer(submitted(task, self.settings.public_url))

    async def _task(self, account: str, wanted: validation.Request, *, instant: bool) -> Task:
        """Make the task, unless the account has no free slot."""
        try:
            self.book.require_slot(account, wanted.model.slug)
            shown = await asyncio.to_thread(inputs.presentable, wanted)
            now, number = time.time(), len(self.book)
            task = Task(
                id=new_task_id(),
                number=number,
                account=account,
                request=wanted,
                shown=shown,
                seed=secrets.randbelow(SEED_LIMIT) if wanted.seed is None else wanted.seed,
                generation_seconds=0.0 if instant else self.studio.seconds(number),
                created_at=now,
            )
            self.book.add(task)
        except SlotsFullError as error:
            raise RefusedError(429, f"Too many active tasks: the limit is {error}") from error
        self.ledger.created(task, now)
        return task

    def _account(self, request: Request) -> str:
        """Return the account of the key in the `x-key` header.

        Raises:
            RefusedError: If the key is missing, malformed or unknown.
        """
        key = request.headers.get("x-key", "")
        if not key:
            raise RefusedError(403, "Not authenticated")
        if len(key) < KEY_LENGTH_MIN or len(key.split()) != 1:
            raise RefusedError(422, "Invalid API key format")
        if key not in self.settings.api_keys:
            raise RefusedError(403, "Not authenticated - Invalid Authentication")
        return hashlib.sha256(key.encode()).hexdigest()[:8]


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise RefusedError(413, "Request body too large")
    except ClientDisconnect as error:
        raise RefusedError(400, "The body was cut off") from error
    return bytes(body)


def _validated(model: Model, body: bytes) -> validation.Request:
    try:
        return validation.validate(model, validation.parse_json(body))
    except validation.InvalidBodyError as error:
        raise RefusedError(422, error.detail) from error
    except validation.UnreadableBodyError as error:
        raise RefusedError(400, str(error)) from error


def _refused(parameters: object) -> Response:
    asked = dict(parameters) if isinstance(parameters, dict) else {}
    status, after = int(str(asked["status"])), asked.get("retry_after")
    body = {"detail": phrase(status)} if asked.get("body") is None else asked["body"]
    return answer(body, status, None if after is None else {"retry-after": str(after)})
