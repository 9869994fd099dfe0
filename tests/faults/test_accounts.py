"""What becomes of jobs when some of several accounts have wrong keys, or their host is away."""

import base64
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from PIL import Image

from stack.options import StackOptions
from stack.servers.fluxrelay import sandbox_process
from stack.servers.ports import LOOPBACK, Ports
from stack.servers.process import ManagedProcess
from tests.conftest import Eventually
from tests.e2e.conftest import Customer
from tests.faults.harness import PATIENCE, account_states, opened, order, owner
from tests.timing import FAST, FAST_SANDBOX

AMERICAN, EUROPEAN = "key-of-the-us-account", "key-of-the-eu-account"
KEYS = {
    "BFL_API_KEY_UNKNOWN": "key-that-nobody-knows",
    "BFL_API_KEY_MALFORMED": "odd",
    "BFL_API_KEY_AMERICA": AMERICAN,
    "BFL_API_KEY_EUROPE": EUROPEAN,
}


@dataclass(frozen=True)
class World:
    """A stack, whose own sandbox is the provider in America, and the provider in Europe."""

    customer: Customer
    europe: ManagedProcess
    europe_url: str

    def american(self) -> list[dict[str, Any]]:
        """Return the tasks that were made in America."""
        tasks: list[dict[str, Any]] = self.customer.ledger()["tasks"]
        return tasks

    def european(self) -> list[dict[str, Any]]:
        """Return the tasks that were made in Europe."""
        answer = httpx.get(f"{self.europe_url}/sandbox/ledger", timeout=60, trust_env=False)
        tasks: list[dict[str, Any]] = answer.json()["tasks"]
        return tasks


@pytest.fixture(scope="module")
def world(
    eventually: Eventually, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Run a stack with four accounts, two of which cannot work."""
    us, eu, port = ports.take(), ports.take(), ports.take()
    directory = tmp_path_factory.mktemp("europe")
    europe = sandbox_process(
        port,
        api_key=EUROPEAN,
        variables={**FAST_SANDBOX, "SANDBOX_REGIONS": f"eu:{eu}"},
        directory=directory,
        logs=directory,
    )
    options = StackOptions(
        relay_variables={**FAST, **KEYS, "FLUXRELAY_ACCOUNTS": _accounts(us, eu)},
        sandbox_variables={
            **FAST_SANDBOX,
            "SANDBOX_REGIONS": f"us:{us}",
            "SANDBOX_API_KEYS": AMERICAN,
        },
    )
    europe.start()
    try:
        europe.wait_ready()
        with opened(options, eventually) as customer:
            yield World(customer, europe, f"http://{LOOPBACK}:{port}")
    finally:
        europe.stop()


def _accounts(us: int, eu: int) -> str:
    hosts = {"unknown": us, "malformed": us, "america": us, "europe": eu}
    regions: Mapping[str, str] = {"america": "us", "europe": "eu"}
    return json.dumps(
        [
            {"name": name, "url": f"http://{LOOPBACK}:{port}", "slots": "8"}
            | ({"region": regions[name]} if name in regions else {})
            for name, port in hosts.items()
        ]
    )


def test_keys_that_are_refused(world: World) -> None:
    """403 and 422 "Invalid API key format" stop their accounts, and say so; others make all."""
    customer = world.customer
    job_ids = customer.send(8, lambda number: order(f"good key {number}"))
    jobs = customer.wait_for_end(job_ids, PATIENCE)

    customer.judge(jobs)
    assert [job["provider"]["resubmits"] for job in jobs] == [0] * len(jobs)
    assert sorted(owner(task) for task in world.american()) == sorted(job_ids)
    assert world.european() == []
    states = account_states(customer)
    assert states["unknown"]["refused"].startswith("403 Not authenticated")
    assert states["malformed"]["refused"] == "422 Invalid API key format"
    assert (states["america"]["refused"], states["europe"]["refused"]) == (None, None)
    assert customer.http.get("/readyz").json()["status"] == "ready"
    told = customer.stack.processes["worker.submit"].output()
    for line in ("unknown", "malformed"):
        assert any("account.refused" in said and line in said for said in told.splitlines())
    assert not [key for key in KEYS.values() if f'"{key}"' in told]


def test_a_pinned_job_waits_for_its_region(world: World) -> None:
    """With the `eu` host away its job waits, and is sent nowhere else; back, it is made there."""
    customer = world.customer
    world.europe.kill()
    try:
        (pinned,) = customer.send(1, lambda _: _pinned("eu"))
        free = customer.send(4, lambda number: order(f"anywhere {number}"))
        customer.judge(customer.wait_for_end(free, PATIENCE))
        customer.eventually(lambda: _tries(customer, pinned) >= 3, PATIENCE)
        waiting, state = customer.job(pinned), account_states(customer)["europe"]
        abroad = world.american()
    finally:
        world.europe.start()
        world.europe.wait_ready()
    (job,) = customer.wait_for_end([pinned], PATIENCE)

    assert waiting["status"] in {"queued", "submitting"}
    assert waiting["provider"]["id"] is None
    assert state["refused"] is None
    assert set(free) <= {owner(task) for task in abroad}
    assert not [task for task in abroad if owner(task) == pinned]
    _judge_pinned(world, job)


def _judge_pinned(world: World, job: Mapping[str, Any]) -> None:
    """Assert that the job was made in Europe alone, image and all, and well."""
    (task,) = [task for task in world.european() if owner(task) == job["id"]]
    assert (job["status"], job["region"]) == ("succeeded", "eu")
    assert job["provider"]["resubmits"] == 0
    assert (task["region"], task["host"]) == ("eu", "eu")
    assert job["image"]["sha256"] == task["sha256"]
    assert "input_image" in task["request"]
    american = world.american()
    assert not [other for other in american if owner(other) == job["id"]]
    assert not [other for other in american if "input_image" in other["request"]]


def _pinned(region: str) -> dict[str, Any]:
    """Return the body of a job with an image that stays in the region."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    image = base64.b64encode(buffer.getvalue()).decode()
    given = {"prompt": "keep it here", "input_image": image}
    return {"model": "flux-kontext-pro", "region": region, "input": given}


def _tries(customer: Customer, job_id: str) -> int:
    with customer.stack.redis() as client:
        fields: Any = client
        return int(fields.hget(f"job:{job_id}", "tries:submit") or 0)
