"""What was under way everywhere dies at once, then all the rest; a cold start finishes it."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from stack.receiver import Answer
from stack.servers.process import wait_all_ready
from stack.stack import Stack
from tests.crash.kill_at_every_line import small, stopped
from tests.e2e.conftest import Customer, Order

_FOUNDATIONS: Final = ("seaweedfs", "valkey")
_EACH: Final = 3
#: Seconds for which the pool grants nothing, so that jobs stay queued.
_REST: Final = 5
#: What the provider does to jobs whose prompt says so, so that they stay a while where they are.
_SLOW: Final = {
    "posting": {"delay_answer": {"match": "posting", "seconds": 3}},
    "waiting": {"delay_generation": {"match": "waiting", "seconds": 3}},
    "fetching": {"trickle_download": {"match": "fetching", "seconds": 3}},
}
_STATUSES: Final = {"queued", "submitting", "generating", "storing", "succeeded"}


@pytest.fixture
def _slow(loaded: Stack) -> Iterator[None]:
    """Have the provider take its time with some jobs."""
    url = f"{loaded.sandbox_url}/sandbox/faults"
    faults = {name: fault for each in _SLOW.values() for name, fault in each.items()}
    httpx.post(url, json=faults, trust_env=False, timeout=60).raise_for_status()
    yield
    httpx.delete(url, trust_env=False, timeout=60).raise_for_status()


@pytest.mark.usefixtures("_slow")
@pytest.mark.parametrize("queue", ["submit", "collect", "notify"])
def test_every_job_ends_well_after_a_cold_start(customer: Customer, queue: str) -> None:
    """The sweeper, a queue's only worker and the service die at once; then everything does."""
    jobs = _under_way(customer)

    stopped(customer, "worker.sweep", f"worker.{queue}", "service")
    customer.eventually(lambda: _some_webhook_met_nobody(customer, jobs), 20)
    others = customer.stack.processes.keys() - {"sandbox", "worker.sweep", "service"}
    stopped(customer, *sorted(others - {f"worker.{queue}"}))
    _cold_start(customer.stack)
    customer.receiver.script()

    customer.judge(customer.wait_for_end(jobs, 90))


def _under_way(customer: Customer) -> list[str]:
    """Return jobs that stand at every status right now, of which no callback was taken yet."""
    customer.receiver.script(then=Answer(503))
    jobs = customer.send(_EACH, small)
    customer.eventually(lambda: set(customer.statuses(jobs)) == {"succeeded"}, 20)
    # A job's webhook must not come before its submit is answered, which would move it on.
    for prompt in ("fetching", "waiting", "posting and waiting"):
        jobs += customer.send(_EACH, _slow_job(prompt))
    client: Any = customer.stack.redis()
    client.set("pool:default:paused", "by a test", ex=_REST)
    jobs += customer.send(_EACH, small)
    customer.eventually(lambda: set(customer.statuses(jobs)) == _STATUSES, 20)
    return jobs


def _slow_job(prompt: str) -> Order:
    def order(number: int) -> dict[str, Any]:
        usual = small(number)
        return usual | {"input": usual["input"] | {"prompt": f"{prompt} {number}"}}

    return order


def _some_webhook_met_nobody(customer: Customer, jobs: list[str]) -> bool:
    tasks = [task for task in customer.ledger()["tasks"] if task["webhook_url"]]
    own = [task for task in tasks if task["webhook_url"].rpartition("/")[2] in jobs]
    return any("error" in delivery for task in own for delivery in task["deliveries"])


def _cold_start(stack: Stack) -> None:
    """Start all but the sandbox, which is the provider's, in the order of the first start."""
    processes = [process for name, process in stack.processes.items() if name != "sandbox"]
    assert not any(process.is_alive for process in processes)
    for group in (_FOUNDATIONS, stack.processes.keys() - {*_FOUNDATIONS, "sandbox"}):
        members = [process for process in processes if process.name in group]
        for process in members:
            process.start()
        wait_all_ready(members)
