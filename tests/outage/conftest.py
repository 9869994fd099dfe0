"""A stack of its own, whose parts these tests take away and bring back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from core.security.signatures import webhook_secret
from stack.options import StackOptions
from stack.stack import Stack
from tests.conftest import Eventually
from tests.timing import FAST, FAST_SANDBOX

TERMINAL = frozenset({"succeeded", "failed", "canceled"})
#: Seconds that a stack gets to be whole again after an outage.
RECOVERY = 40.0


@dataclass(frozen=True)
class Town:
    """The stack, its one caller, and its provider's ledger."""

    stack: Stack
    client: httpx.Client
    eventually: Eventually

    def post(self, prompt: str, /, **more: object) -> httpx.Response:
        """POST a job for a small picture."""
        small = {"prompt": prompt, "width": 256, "height": 256}
        return self.client.post("/v1/jobs", json={"model": "flux-pro-1.1", "input": small, **more})

    def create(self, prompt: str, /, **more: object) -> str:
        """POST a job that must be accepted; return its id."""
        answer = self.post(prompt, **more)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def webhook(self, job_id: str, body: object, secret: str | None = None) -> httpx.Response:
        """Send a webhook, with the right secret unless another one is given."""
        right = webhook_secret(self.stack.credentials.webhook_secret, job_id)
        headers = {"x-webhook-secret": right if secret is None else secret}
        return self.client.post(
            f"/webhooks/bfl/{job_id}", content=json.dumps(body).encode(), headers=headers
        )

    def job(self, job_id: str) -> Any:
        """Return the view of a job."""
        answer = self.client.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ends(self, job_id: str, seconds: float = RECOVERY) -> Any:
        """Wait for a job's end; return its view."""
        self.eventually(lambda: self.job(job_id)["status"] in TERMINAL, seconds)
        return self.job(job_id)

    def succeeds(self, job_id: str) -> Any:
        """Wait for a job's end, which must be a good one; return its view."""
        view = self.ends(job_id)
        assert view["status"] == "succeeded", view
        return view

    def ledger(self) -> dict[str, Any]:
        """Return the sandbox's books since its latest start."""
        url = f"{self.stack.sandbox_url}/sandbox/ledger"
        books: dict[str, Any] = httpx.get(url, trust_env=False, timeout=60).json()
        return books

    def tasks(self, job_id: str) -> list[dict[str, Any]]:
        """Return what the sandbox made for a job since its latest start."""
        tasks = self.ledger()["tasks"]
        return [task for task in tasks if (task["webhook_url"] or "").endswith(job_id)]

    def faults(self, **faults: object) -> None:
        """Put faults in force in the sandbox instead of all others."""
        url = f"{self.stack.sandbox_url}/sandbox/faults"
        httpx.post(url, json=faults, trust_env=False, timeout=60).raise_for_status()

    def field(self, job_id: str, name: str) -> str:
        """Return a field of a job's record, empty where there is none."""
        with self.stack.redis() as client:
            fields: Any = client
            return str(fields.hget(f"job:{job_id}", name) or "")


@pytest.fixture(scope="package")
def town(eventually: Eventually) -> Iterator[Town]:
    """Run the whole product for tests that break it."""
    variables = {
        **FAST,
        "FLUXRELAY_CALLBACK_GIVE_UP_SECONDS": "6",
        "FLUXRELAY_RESULT_LIFETIME_SECONDS": "1",  # the sandbox says itself how long: 60 s
    }
    options = StackOptions(relay_variables=variables, sandbox_variables=FAST_SANDBOX)
    with opened(options, eventually) as made:
        yield made


@contextmanager
def opened(options: StackOptions, eventually: Eventually) -> Iterator[Town]:
    """Run a stack."""
    with Stack(options) as stack:
        headers = {"x-key": stack.api_key}
        with httpx.Client(
            base_url=stack.service_url, headers=headers, timeout=60, trust_env=False
        ) as client:
            yield Town(stack, client, eventually)
