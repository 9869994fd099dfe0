"""Valkey is killed while 500 callers post at once: a 202 is kept, all others can be repeated.

Some must be in by then and some must not, on a fast machine as on a slow one. So half of the
callers come at once, and the other half as soon as Valkey stands still.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import pytest

from stack.stack import Stack
from tests.crash.conftest import crash_stack
from tests.crash.kill_at_every_line import small
from tests.e2e.conftest import Customer

_CALLERS: Final = 500
#: So many callers have their 202 when Valkey stops.
_PROMISED: Final = 100


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

    def post(self, *groups: list[str], gate: threading.Event | None = None) -> None:
        """Have the callers of these keys post, each group at a time.

        Args:
            groups: The keys.
            gate: The second group waits for it.
        """
        asyncio.run(self._post_all(groups, gate))

    async def _post_all(self, groups: tuple[list[str], ...], gate: threading.Event | None) -> None:
        stack = self.customer.stack
        async with httpx.AsyncClient(
            base_url=stack.service_url,
            headers={"x-key": stack.api_key},
            limits=httpx.Limits(max_connections=sum(map(len, groups))),
            timeout=60,
            trust_env=False,
        ) as client:
            posts: list[asyncio.Task[None]] = []
            for number, keys in enumerate(groups):
                if number and gate:
                    await asyncio.to_thread(gate.wait, 60)
                posts += [asyncio.create_task(self._post(client, key)) for key in keys]
            await asyncio.gather(*posts)

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
    half = _CALLERS // 2
    stopped = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(rush.post, keys[:half], keys[half:], gate=stopped)
        killed_at = _kill_valkey_meanwhile(customer, rush, stopped)
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


def _kill_valkey_meanwhile(customer: Customer, rush: Rush, stopped: threading.Event) -> str:
    """Freeze it in the middle and kill it; start it again once somebody was refused; say when."""
    valkey = customer.stack.valkey.process
    customer.eventually(lambda: len(rush.accepted) >= _PROMISED, 20)
    killed_at = datetime.now(UTC).isoformat()
    os.kill(valkey.pid, signal.SIGSTOP)
    stopped.set()
    valkey.kill()
    customer.eventually(lambda: bool(rush.refused), 20)
    valkey.start()
    valkey.wait_ready()
    return killed_at
