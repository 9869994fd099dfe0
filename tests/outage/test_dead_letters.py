"""What an outage cost is listed, and once the outage is over it is sent again and ends well."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from stack.options import StackOptions
from stack.receiver import CallbackReceiver
from stack.stack import Stack
from tests.conftest import Eventually
from tests.outage.conftest import RECOVERY, TERMINAL, Town
from tests.timing import FAST, FAST_SANDBOX


@pytest.fixture(scope="module")
def mayfly(eventually: Eventually) -> Iterator[Town]:
    """Run the whole product on a provider whose results live for 6 s; callbacks are tried for 3 s.

    The provider says itself how long its results live.
    """
    options = StackOptions(
        relay_variables={
            **FAST,
            "FLUXRELAY_CALLBACK_GIVE_UP_SECONDS": "3",
            # So few attempts that the receiver is not left alone when it is tried again.
            "FLUXRELAY_CALLBACK_RETRY_BASE_SECONDS": "1",
        },
        sandbox_variables={**FAST_SANDBOX, "SANDBOX_TIME_SCALE": "0.01"},
    )
    with Stack(options) as stack:
        headers = {"x-key": stack.api_key}
        with httpx.Client(
            base_url=stack.service_url, headers=headers, timeout=60, trust_env=False
        ) as client:
            yield Town(stack, client, eventually)


def listed(town: Town, kind: str) -> list[str]:
    """Return the jobs of the dead letters of a kind."""
    answer = town.client.get("/v1/dead-letters", params={"kind": kind})
    assert answer.status_code == 200, answer.text
    return [letter["job"]["id"] for letter in answer.json()["dead_letters"]]


def state(town: Town, job_id: str) -> str:
    """Return how far the caller of a job has been told."""
    return str(town.job(job_id)["callback"]["state"])


def again(town: Town, job_id: str, what: str) -> Any:
    """Send a job, or its callback, again; return the job that is shown."""
    answer = town.client.post(f"/v1/jobs/{job_id}/{what}")
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_storage_away_for_too_long(mayfly: Town, receiver: CallbackReceiver) -> None:
    """A result that died while the bucket was away is a dead letter; sent again it is stored."""
    secret = str(mayfly.client.get("/v1/callback-secret").json()["secret"])
    seaweed = mayfly.stack.seaweed.process
    seaweed.kill()
    try:
        job_id = mayfly.create("nowhere to put it in time", callback={"url": receiver.url})
        mayfly.eventually(lambda: bool(mayfly.field(job_id, "result_expires_at")), RECOVERY)
        died = float(mayfly.field(job_id, "result_expires_at"))
        with mayfly.stack.redis() as client:
            server: Any = client
            mayfly.eventually(lambda: float(server.time()[0]) > died + 1, RECOVERY)
        assert mayfly.job(job_id)["status"] == "storing"
    finally:
        seaweed.stop()
        seaweed.start()
        seaweed.wait_ready()
    mayfly.eventually(lambda: mayfly.job(job_id)["status"] in TERMINAL, RECOVERY)
    assert mayfly.job(job_id)["error"]["code"] in {"result_expired", "storage_failed"}
    assert listed(mayfly, "job") == [job_id]

    new_id = again(mayfly, job_id, "retry")["id"]

    assert listed(mayfly, "job") == []
    view = mayfly.succeeds(new_id)
    assert view["retry_of"] == job_id
    (task,) = mayfly.tasks(new_id)
    stored = mayfly.stack.s3().head_object(Bucket=mayfly.stack.bucket, Key=view["image"]["key"])
    assert stored["Metadata"]["sha256"] == task["sha256"]
    told = receiver.wait_for(lambda _: True, count=2, timeout_seconds=RECOVERY)
    bodies: list[Any] = [callback.verify(secret) for callback in told]
    assert [(body["type"], body["data"]["id"]) for body in bodies] == [
        ("job.failed", job_id),
        ("job.succeeded", new_id),
    ]


def test_receiver_away_for_too_long(mayfly: Town, receiver: CallbackReceiver) -> None:
    """A callback that was given up is a dead letter; sent again, with new attempts, it is taken."""
    receiver.go_down()
    job_id = mayfly.create("told a day later", callback={"url": receiver.url})
    mayfly.eventually(lambda: state(mayfly, job_id) == "dead", RECOVERY)
    assert listed(mayfly, "callback") == [job_id]
    before = mayfly.job(job_id)["callback"]["attempts"]

    assert again(mayfly, job_id, "callback")["callback"]["state"] == "pending"
    assert listed(mayfly, "callback") == []
    # Given up long ago, it is nevertheless tried more than once.
    mayfly.eventually(lambda: mayfly.job(job_id)["callback"]["attempts"] >= before + 2, RECOVERY)
    receiver.come_up()

    mayfly.eventually(lambda: state(mayfly, job_id) in {"delivered", "dead"}, RECOVERY)
    if state(mayfly, job_id) == "dead":  # it was away for too long again
        again(mayfly, job_id, "callback")
    mayfly.eventually(lambda: state(mayfly, job_id) == "delivered", RECOVERY)
    assert listed(mayfly, "callback") == []
    assert {call.headers["webhook-id"] for call in receiver.callbacks} == {f"msg_{job_id}"}
