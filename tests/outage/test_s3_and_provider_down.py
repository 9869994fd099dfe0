"""Without S3 or the provider a job waits; when they are back it goes on."""

import base64
import io
import os
import signal

import pytest
from PIL import Image

from tests.outage.conftest import RECOVERY, Town


@pytest.fixture(scope="module")
def picture() -> str:
    """Return an image as base64."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_storage_away(town: Town, picture: str) -> None:
    """A job whose image cannot be stored waits in `storing`, then is stored, paid for once."""
    seaweed = town.stack.seaweed.process
    seaweed.kill()
    try:
        job_id = town.create("nowhere to put it")
        town.eventually(lambda: int(town.field(job_id, "tries:collect") or 0) >= 2, RECOVERY)
        assert town.job(job_id)["status"] == "storing"
        refused = town.client.post(
            "/v1/jobs",
            json={"model": "flux-kontext-pro", "input": {"prompt": "x", "input_image": picture}},
        )
    finally:
        seaweed.stop()
        seaweed.start()
        seaweed.wait_ready()
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) > 0
    assert "nothing is promised" in refused.json()["detail"]
    view = town.succeeds(job_id)
    (task,) = town.tasks(job_id)
    stored = town.stack.s3().head_object(Bucket=town.stack.bucket, Key=view["image"]["key"])
    assert stored["Metadata"]["sha256"] == task["sha256"]


def test_provider_away(town: Town) -> None:
    """Jobs that cannot be submitted keep their place in the queue, then are submitted, once."""
    sandbox = town.stack.processes["sandbox"]
    sandbox.kill()
    try:
        ids = [town.create(f"nobody to ask {number}") for number in range(3)]
        town.eventually(lambda: int(town.field(ids[0], "tries:submit") or 0) >= 2, RECOVERY)
        assert town.job(ids[0])["status"] in {"queued", "submitting"}
        assert town.job(ids[0])["error"] is None
    finally:
        sandbox.start()
        sandbox.wait_ready()
    for job_id in ids:
        view = town.succeeds(job_id)
        assert view["provider"]["resubmits"] == 0
        (task,) = town.tasks(job_id)
        assert view["image"]["sha256"] == task["sha256"]


def test_provider_that_forgot(town: Town) -> None:
    """A task that the provider forgot is asked for until its result would be dead; then it ends."""
    # A restart alone would not do: with its ledger the sandbox remembers.
    forgotten = {"match": "will be forgotten"}
    town.faults(drop_webhook=forgotten, hide_task=forgotten)
    job_id = town.create("will be forgotten")
    town.eventually(lambda: town.job(job_id)["status"] == "failed", RECOVERY)
    error = town.job(job_id)["error"]
    assert error["code"] == "lost"
    assert error["retryable"] is True
    assert int(town.field(job_id, "tries:poll")) >= 2
    assert town.field(job_id, "submits") == "1"


def test_provider_that_fails_every_submit(town: Town) -> None:
    """A broken provider is tried with one job at a time, for each try may be paid for."""
    town.faults(refuse_submit={"status": 503})
    before = _refused(town)
    first = town.create("nobody knows", max_resubmits=3)
    town.eventually(lambda: town.client.get("/readyz").json()["accounts"]["default"]["paused"])
    submitter = town.stack.processes["worker.submit"].pid
    # Nothing is tried while the jobs are created, and while those that were tried are counted.
    os.kill(submitter, signal.SIGSTOP)
    ids = [first, *(town.create(f"waits {n}", max_resubmits=3) for n in range(20))]
    os.kill(submitter, signal.SIGCONT)
    town.eventually(lambda: _refused(town) >= before + 3, RECOVERY)
    os.kill(submitter, signal.SIGSTOP)
    tried = [job_id for job_id in ids if town.field(job_id, "submits")]
    os.kill(submitter, signal.SIGCONT)

    assert len(tried) <= 8, "more than a few jobs were put in doubt"
    town.faults()
    for job_id in ids:
        view = town.succeeds(job_id)
        (task,) = town.tasks(job_id)
        assert view["image"]["sha256"] == task["sha256"]
    resubmits = [town.job(job_id)["provider"]["resubmits"] for job_id in ids]
    assert sum(resubmits) == _refused(town) - before


def _refused(town: Town) -> int:
    return int(town.ledger()["rejections"].get("503", 0))
