"""Without Redis nothing is promised; when it is back everything goes on by itself."""

from collections.abc import Iterator

import httpx
import pytest

from tests.outage.conftest import RECOVERY, Town

READY = {"id": "task-1", "status": "Ready", "result": {"sample": "http://127.0.0.1:9/never"}}


@pytest.fixture(scope="module")
def earlier(town: Town) -> list[str]:
    """Return jobs that were accepted just before Redis was killed."""
    town.faults(delay_webhook={"match": "webhook meets", "seconds": 1})
    prompts = ["just accepted", "its webhook meets no Redis", "just accepted, too"]
    ids = [town.create(prompt) for prompt in prompts * 2]
    town.stack.valkey.process.kill()
    return ids


@pytest.fixture(scope="module", autouse=True)
def back(town: Town, earlier: list[str]) -> Iterator[None]:
    """Have Redis run again after this module, whatever happens in it."""
    del earlier
    yield
    _bring_back(town)
    town.faults()


def _bring_back(town: Town) -> None:
    valkey = town.stack.valkey.process
    if not valkey.is_alive:
        valkey.start()
        valkey.wait_ready()


def check_unavailable(answer: httpx.Response) -> None:
    """Check that an answer asks to come again, in a problem document."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["status"] == 503


def test_jobs(town: Town, earlier: list[str]) -> None:
    """A POST and a GET are answered with 503, and say that nothing is promised."""
    answer = town.post("comes too early")
    check_unavailable(answer)
    assert "nothing is promised" in answer.json()["detail"]
    check_unavailable(town.client.get(f"/v1/jobs/{earlier[0]}"))


def test_bad_bodies(town: Town) -> None:
    """What is wrong with a body is still told, for it takes no Redis."""
    assert town.client.post("/v1/jobs", json={"model": "none"}).status_code == 422
    assert town.client.post("/v1/jobs", json={}, headers={"x-key": "wrong"}).status_code == 401


def test_health(town: Town) -> None:
    """The process is alive but not ready."""
    check_unavailable(town.client.get("/readyz"))
    assert town.client.get("/livez").status_code == 200


def test_webhooks(town: Town, earlier: list[str]) -> None:
    """The provider is asked to send a webhook again; a forger is refused without a look-up."""
    check_unavailable(town.webhook(earlier[0], READY))
    for secret in ("", "0" * 64, "f" * 64):
        assert town.webhook(earlier[0], READY, secret).status_code == 401


def test_recovery(town: Town, earlier: list[str]) -> None:
    """When Redis is back the service is ready by itself, and every accepted job ends well."""
    pids = {name: process.pid for name, process in town.stack.processes.items()}
    _bring_back(town)
    town.eventually(lambda: town.client.get("/readyz").status_code == 200, RECOVERY)
    new = town.create("after the outage")
    for job_id in [*earlier, new]:
        view = town.succeeds(job_id)
        (task,) = town.tasks(job_id)
        assert view["image"]["sha256"] == task["sha256"]
    same = {name: process.pid for name, process in town.stack.processes.items() if process.is_alive}
    assert {**pids, "valkey": 0} == {**same, "valkey": 0}
