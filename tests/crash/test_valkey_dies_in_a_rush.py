"""Valkey is killed while 500 callers post at once: a 202 is kept, all others can be repeated."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest

from stack.stack import Stack
from tests.crash.conftest import crash_stack
from tests.crash.killing import small
from tests.e2e.conftest import Customer

_CALLERS: Final = 500
#: So many jobs wait for a slot when Valkey dies.
_WAITING: Final = 100


@pytest.fixture(scope="module")
def loaded() -> Iterator[Stack]:
    """Run a stack with the provider's own slots, in which a slow answer is no doubtful one."""
    patient = {
        "FLUXRELAY_SLOTS": "24",
        "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS": "20",
        "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": "60",
    }
    with crash_stack(webhooks=True, **patient) as stack:
        yield stack


@dataclass
class Rush:
    """Many callers at once, each with a key of its own.

    Args:
        customer: Whose stack and receiver are used.
    """

    customer: Customer
    #: Key -> the id that its 202 told.
    accepted: dict[str, str] = field(default_factory=dict)
    #: Key -> what it got instead.
    refused: dict[str, str] = field(default_factory=dict)

    def post(self, keys: list[str]) -> None:
        """Have the callers of these keys post, all at a time."""
        asyncio.run(self._post_all(keys))

    async def _post_all(self, keys: list[str]) -> None:
        stack = self.customer.stack
        async with httpx.AsyncClient(
            base_url=stack.service_url,
            headers={"x-key": stack.api_key},
            limits=httpx.Limits(max_connections=len(keys)),
            timeout=60,
            trust_env=False,
        ) as client:
            await asyncio.gather(*(self._post(client, key) for key in keys))

    async def _post(self, client: httpx.AsyncClient, key: str) -> None:
        body = {**small(int(key)), "callback": {"url": self.customer.receiver.url}}
        try:
            answer = await client.post("/v1/jobs", json=body, headers={"idempotency-key": key})
        except httpx.TransportError as error:
            self.refused[key] = type(error).__name__
        else:
            self._take(key, answer)

    def _take(self, key: str, answer: httpx.Response) -> None:
        if answer.status_code == httpx.codes.ACCEPTED:
            self.accepted[key] = answer.json()["id"]
            return
        problem: dict[str, Any] = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        self.refused[key] = f"{answer.status_code} {problem['title']}"


def test_each_202_is_kept_and_each_refusal_can_be_repeated(customer: Customer) -> None:
    """500 keys bring 500 jobs, each made once, whatever the first answer was."""
    rush = Rush(customer)
    keys = [str(number) for number in range(_CALLERS)]
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(rush.post, keys)
        killed_at = _kill_valkey_meanwhile(customer, rush)
        posting.result()
    promised, refused = dict(rush.accepted), dict(rush.refused)
    client: Any = customer.stack.redis()
    assert all(client.hget(f"job:{job_id}", "request") for job_id in promised.values())
    found = [customer.job(job_id) for job_id in promised.values()]
    assert {job["id"] for job in found} == set(promised.values())
    assert min(job["timeline"][0]["at"] for job in found) < killed_at

    rush.post(list(refused))

    assert promised.items() <= rush.accepted.items()
    jobs = list(rush.accepted.values())
    assert len(set(jobs)) == _CALLERS
    assert {str(key).removeprefix("job:") for key in client.scan_iter("job:*")} == set(jobs)
    customer.judge(customer.wait_for_end(jobs, 120))
    assert len(customer.ledger()["tasks"]) == _CALLERS


def _kill_valkey_meanwhile(customer: Customer, rush: Rush) -> str:
    """Kill it in the middle; start it again once somebody was refused for it; return when."""
    valkey = customer.stack.valkey.process
    with customer.stack.redis() as client:
        customer.eventually(lambda: client.zcard("backlog:any") > _WAITING, 20)
    killed_at = datetime.now(UTC).isoformat()
    valkey.kill()
    customer.eventually(lambda: bool(rush.refused), 20)
    valkey.start()
    valkey.wait_ready()
    return killed_at
