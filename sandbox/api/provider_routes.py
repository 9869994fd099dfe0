"""The provider's own routes: submit, get_result, credits and finetunes."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial, wraps
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.api.answers import (
    answer,
    chosen,
    failed,
    not_found,
    odd_result_answer,
    polled,
    redirection,
    refusal,
)
from sandbox.api.submits import Submits, read_body, refusing
from sandbox.faults.behavior import Circumstances, PollPlan
from sandbox.faults.injection import FaultInjection
from sandbox.refusals import RefusedError
from sandbox.requests import validation
from sandbox.requests.bodies import Fields
from sandbox.requests.fields import Text
from sandbox.requests.finetunes import Finetunes
from sandbox.requests.models import MODELS
from sandbox.server.transmission import sent
from sandbox.tasks.accounts import Accounts, CreditBalances
from sandbox.tasks.hosts import Hosts
from sandbox.tasks.tasks import Task, TaskBook

#: The body of delete_finetune (BFL OpenAPI, DeleteFinetuneInputs).
DELETE_FINETUNE: Final[Fields] = {"finetune_id": Text(required=True, nullable=False)}

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class ProviderApi:
    """The provider's routes and their dependencies."""

    hosts: Hosts
    accounts: Accounts
    credit_balances: CreditBalances
    finetunes: Finetunes
    book: TaskBook
    faults: FaultInjection
    submits: Submits

    def routes(self) -> list[Route]:
        """Return one route per model and the utility ones."""
        return [
            *(
                Route(f"/v1/{slug}", partial(self.submits.submit, model), methods=["POST"])
                for slug, model in MODELS.items()
            ),
            Route("/v1/get_result", _answering(self.get_result)),
            Route("/v1/credits", _answering(self.credits)),
            Route("/v1/my_finetunes", _answering(self.my_finetunes)),
            Route("/v1/finetune_details", _answering(self.finetune_details)),
            Route("/v1/delete_finetune", _answering(self.delete_finetune), methods=["POST"]),
        ]

    async def get_result(self, request: Request) -> Response:
        """Report a task's status, if this host knows it. It needs no key, as in the BFL OpenAPI."""
        task_id = _parameter(request, "id")
        task = self.book.find(task_id)
        host = self.hosts.asked(request)
        if task is None:
            return answer(not_found(task_id), 404)
        task.polls[host] += 1
        where = Circumstances(
            host, task.account, task.request.model.slug, task.request.prompt, task.id
        )
        plan = self.faults.apply(PollPlan(), where)
        return await sent(plan, self._poll_answer(task, host, plan))

    async def credits(self, request: Request) -> Response:
        """Report the account's remaining credits."""
        return answer({"credits": self.credit_balances.left(self.accounts.of(request))})

    async def my_finetunes(self, request: Request) -> Response:
        """List the account's finetunes."""
        return answer({"finetunes": self.finetunes.of(self.accounts.of(request))})

    async def finetune_details(self, request: Request) -> Response:
        """Describe one finetune."""
        account = self.accounts.of(request)
        details = self.finetunes.details(account, _parameter(request, "finetune_id"))
        return answer({"finetune_details": details})

    async def delete_finetune(self, request: Request) -> Response:
        """Delete one finetune."""
        account = self.accounts.of(request)
        with refusing():
            body = validation.parse_json(await read_body(request))
            name = str(validation.read_fields(DELETE_FINETUNE, body)["finetune_id"])
        self.finetunes.delete(account, name)
        return answer(
            {
                "status": "success",
                "message": f"Finetune {name} was deleted",
                "deleted_finetune_id": name,
                "timestamp": datetime.now(UTC).isoformat(),
            }
        )

    def _poll_answer(self, task: Task, host: str, plan: PollPlan) -> Response:
        now = time.time()
        if plan.refusal is not None:
            return chosen(plan.refusal)
        if plan.redirect:
            return redirection(f"{self.hosts.url(task.region)}/v1/get_result?id={task.id}&moved=1")
        if not self.hosts.knows(host, task.region) or now < task.created_at + plan.hidden:
            return answer(not_found(task.id), 404)
        if plan.error is not None:
            return answer(failed(task.id, plan.error), 422)
        return answer(odd_result_answer(polled(task, now), plan), plan.status)


def _answering(handler: Handler) -> Handler:
    """Return the handler with its refusals turned into answers."""

    @wraps(handler)
    async def answering(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusedError as error:
            return refusal(error.status, error.detail)

    return answering


def _parameter(request: Request, name: str) -> str:
    """Return a required query parameter.

    Raises:
        RefusedError: It is missing.
    """
    value = request.query_params.get(name)
    if value is None:
        place = {"type": "missing", "loc": ["query", name]}
        raise RefusedError(422, [{**place, "msg": "Field required", "input": None}])
    return value
