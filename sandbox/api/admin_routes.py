"""Routes under `/sandbox`, which the provider does not have: health, ledger, credits and faults."""

import json
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.api.answers import answer, refusal
from sandbox.faults.injection import FaultInjection, UnknownFaultError, catalogue
from sandbox.tasks.accounts import CreditBalances
from sandbox.tasks.ledger import Ledger, entry
from sandbox.tasks.tasks import TaskBook


@dataclass(frozen=True)
class AdminApi:
    """The admin routes and their dependencies."""

    book: TaskBook
    ledger: Ledger
    faults: FaultInjection
    credit_balances: CreditBalances

    def routes(self) -> list[Route]:
        """Return the admin routes."""
        return [
            Route("/sandbox/healthz", self.healthz),
            Route("/sandbox/ledger", self.whole_ledger),
            Route("/sandbox/ledger/{task_id}", self.ledger_entry),
            Route("/sandbox/credits", self.show_credits, methods=["GET"]),
            Route("/sandbox/credits", self.set_credits, methods=["POST"]),
            Route("/sandbox/faults", self.show_faults, methods=["GET"]),
            Route("/sandbox/faults", self.set_faults, methods=["POST"]),
            Route("/sandbox/faults", self.clear_faults, methods=["DELETE"]),
        ]

    async def healthz(self, _: Request) -> Response:
        """Report that the sandbox is up."""
        return answer({"status": "ok"})

    async def whole_ledger(self, _: Request) -> Response:
        """Show the whole ledger."""
        return answer(self.ledger.show())

    async def ledger_entry(self, request: Request) -> Response:
        """Show one task."""
        task = self.book.find(request.path_params["task_id"])
        return refusal(404) if task is None else answer(entry(task))

    async def show_credits(self, _: Request) -> Response:
        """Show the remaining credits of every account."""
        return answer(self.credit_balances.show())

    async def set_credits(self, request: Request) -> Response:
        """Set the remaining credits of one account, or of all."""
        try:
            asked = json.loads(await request.body())
        except ValueError:
            asked = None
        wanted = asked if isinstance(asked, dict) else {}
        amount, account = wanted.get("credits"), wanted.get("account")
        known = self.credit_balances.accounts
        number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not number or account not in {None, *known} or wanted.keys() - {"credits", "account"}:
            form = 'the body must be {"credits": number, "account": one of these or none}'
            return answer({"detail": [form], "accounts": known}, 422)
        for each in known if account is None else [account]:
            self.credit_balances.set_left(each, float(str(amount)))
            self.ledger.credited(each, float(str(amount)), time.time())
        return answer(self.credit_balances.show())

    async def show_faults(self, _: Request) -> Response:
        """Show the active faults."""
        return answer(self.faults.show())

    async def set_faults(self, request: Request) -> Response:
        """Replace the active faults, or answer with the problems and the valid faults."""
        try:
            self.faults.replace(json.loads(await request.body()))
        except UnknownFaultError as error:
            return answer({"detail": error.problems, "faults": catalogue()}, 422)
        except ValueError:
            return answer({"detail": ["the body is not JSON"], "faults": catalogue()}, 422)
        return answer(self.faults.show())

    async def clear_faults(self, _: Request) -> Response:
        """Remove all faults."""
        self.faults.clear()
        return answer(self.faults.show())
