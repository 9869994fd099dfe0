"""What the submit step posts for a model, and when it then looks for the result."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from core.jobs.job import Job, JobId
from core.jobs.status import Status
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from tests.contract.jobs import make_request
from tests.contract.scripted_server import ScriptedServer, answer
from worker.runtime.wiring import build
from worker.steps.submit import submit

JOB = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")
Submit = Callable[..., tuple[Job, float]]


@pytest.fixture
def submit_job(
    environment: Mapping[str, str],
    redis_client: "redis.Redis",
    server: ScriptedServer,
) -> Submit:
    """Return a function that accepts a job, posts it, and tells what it is then and its poll."""

    def run(model: str, **variables: str) -> tuple[Job, float]:
        public = {"FLUXRELAY_PUBLIC_URL": "https://relay.example"}
        own = {"FLUXRELAY_PROVIDER_URL": server.url, "FLUXRELAY_WEBHOOK_OVERDUE_SECONDS": "60"}
        settings = Settings.from_env({**environment, **own, **public, **variables}, WORKER)
        store = JobStore(redis_client, settings)
        now = time.time()
        store.create(JOB, make_request(model=model, created_at=now, deadline_at=now + 900))
        submit(JOB, build(settings))
        job = store.load(JOB)
        assert job is not None
        return job, float(redis_client.zscore("due", f"poll:{JOB}") or 0) - time.time()

    return run


def accepted(body: Mapping[str, Any]) -> Callable[..., None]:
    """Return a script that accepts a task."""
    return answer(200, json.dumps({"id": "task-1", **body}).encode())


def test_with_a_webhook(server: ScriptedServer, submit_job: Submit) -> None:
    """A model that takes webhooks is sent both fields, and polled only when one is overdue."""
    server.script = accepted({"status": "Pending", "webhook_url": "x", "cost": 3})

    job, poll_in = submit_job("flux-2-pro")

    (posted,) = server.requests
    body = json.loads(posted.body)
    assert posted.target == "/v1/flux-2-pro"
    assert body.pop("webhook_url") == f"https://relay.example/webhooks/bfl/{JOB}"
    assert len(body.pop("webhook_secret")) >= 32
    assert body == {"prompt": "a lighthouse"}
    assert (job.status, job.cost) == (Status.GENERATING, 3.0)
    assert poll_in > 30


def test_without_a_webhook(server: ScriptedServer, submit_job: Submit) -> None:
    """Outpainting, which forbids webhook fields, is sent none and polled from the start."""
    server.script = accepted({"polling_url": f"{server.url}/v1/get_result?id=task-1"})

    job, poll_in = submit_job("flux-tools/outpainting-v1")

    (posted,) = server.requests
    assert posted.target == "/v1/flux-tools/outpainting-v1"
    assert json.loads(posted.body) == {"prompt": "a lighthouse"}
    assert (job.status, job.polling_url) == (
        Status.GENERATING,
        f"{server.url}/v1/get_result?id=task-1",
    )
    assert poll_in < 5


def test_a_model_of_the_deployment(
    server: ScriptedServer, submit_job: Submit, tmp_path: Path
) -> None:
    """A model that only the deployment's file knows is posted to its own endpoint."""
    path = tmp_path / "models.json"
    entry = {"name": "flux-tools/next-v1", "like": "flux-tools/deblur-v1", "webhook": False}
    path.write_text(json.dumps({"models": [entry]}))
    server.script = accepted({"polling_url": "https://api.example/v1/get_result?id=task-1"})

    job, _ = submit_job("flux-tools/next-v1", FLUXRELAY_MODELS_FILE=str(path))

    assert job.status is Status.GENERATING
    assert [one.target for one in server.requests] == ["/v1/flux-tools/next-v1"]
    assert "webhook_url" not in json.loads(server.requests[0].body)


def test_a_model_that_is_gone(server: ScriptedServer, submit_job: Submit) -> None:
    """A job whose model was taken out of the file ends as failed, and nothing is posted."""
    job, _ = submit_job("flux-tools/next-v1")

    assert job.status is Status.FAILED
    assert job.error is not None
    assert job.error["code"] == "provider_rejected"
    assert "flux-tools/next-v1" in job.error["message"]
    assert server.requests == []
