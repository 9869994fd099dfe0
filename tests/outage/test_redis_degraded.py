"""A Redis that answers but cannot be written to, or is slow: 503 meanwhile, and nothing is lost."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stack.options import StackOptions
from tests.conftest import Eventually
from tests.outage.conftest import RECOVERY, Town, opened
from tests.outage.test_redis_down import READY, check_unavailable
from tests.timing import FAST, FAST_SANDBOX

#: Jobs under way when the trouble begins: more than have room at the provider.
UNDER_WAY = 12


@pytest.fixture(scope="module")
def town(eventually: Eventually) -> Iterator[Town]:
    """Run the whole product with four slots and a Redis of its own."""
    variables = {**FAST, "FLUXRELAY_SLOTS": "4", "FLUXRELAY_RESULT_LIFETIME_SECONDS": "1"}
    options = StackOptions(relay_variables=variables, sandbox_variables=FAST_SANDBOX)
    with opened(options, eventually) as made:
        yield made


@contextmanager
def full(redis: Any) -> Iterator[None]:
    """Have Redis refuse whatever takes memory."""
    redis.config_set("maxmemory", "1mb")
    try:
        yield
    finally:
        redis.config_set("maxmemory", "0")


@contextmanager
def demoted(redis: Any) -> Iterator[None]:
    """Have Redis be the replica of a server that nobody reaches: it can be read, not written."""
    redis.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        redis.replicaof("NO", "ONE")


@pytest.mark.parametrize("trouble", [full, demoted])
def test_a_redis_that_takes_no_writes(town: Town, trouble: Any) -> None:
    """Nothing is promised, reads go on, and every job that was accepted ends well, made once."""
    ids = [town.create(f"{trouble.__name__} {n}") for n in range(UNDER_WAY)]
    submit = town.stack.processes["worker.submit"]
    submit.kill()  # so that the last job is still there to be moved by a webhook
    ids.append(town.create(f"{trouble.__name__}, not submitted yet"))
    with town.stack.redis() as redis, trouble(redis):
        key = {"idempotency-key": f"again, {trouble.__name__}"}
        body = {"model": "flux-pro-1.1", "input": {"prompt": "x", "width": 256, "height": 256}}
        check_unavailable(town.client.post("/v1/jobs", json=body, headers=key))
        check_unavailable(town.webhook(ids[-1], READY))
        check_unavailable(town.client.get("/readyz"))
        assert town.job(ids[0])["id"] == ids[0]
        assert town.client.get("/livez").status_code == 200
    town.eventually(lambda: town.client.get("/readyz").status_code == 200, RECOVERY)
    submit.start()
    submit.wait_ready()

    repeated = town.client.post("/v1/jobs", json=body, headers=key)
    assert repeated.status_code == 202

    for job_id in [*ids, repeated.json()["id"]]:
        view = town.succeeds(job_id)
        tasks = town.tasks(job_id)
        assert 1 <= len(tasks) <= 1 + view["provider"]["resubmits"]


def test_a_redis_that_stands_still(town: Town) -> None:
    """The answer does not wait for it; what was said in vain can be said again, and counts once."""
    ids = [town.create(f"still {n}") for n in range(UNDER_WAY)]
    key = {"idempotency-key": "while it stands still"}
    body = {"model": "flux-pro-1.1", "input": {"prompt": "x", "width": 256, "height": 256}}
    valkey = town.stack.valkey.process
    os.kill(valkey.pid, signal.SIGSTOP)
    try:  # for as long as it takes to give a command up
        check_unavailable(town.client.post("/v1/jobs", json=body, headers=key))
    finally:
        os.kill(valkey.pid, signal.SIGCONT)

    town.eventually(lambda: town.client.get("/readyz").status_code == 200, RECOVERY)
    first, second = (town.client.post("/v1/jobs", json=body, headers=key) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    for job_id in [*ids, first.json()["id"]]:
        view = town.succeeds(job_id)
        assert 1 <= len(town.tasks(job_id)) <= 1 + view["provider"]["resubmits"]
