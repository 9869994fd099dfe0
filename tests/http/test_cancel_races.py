"""Cancels over HTTP that race with the provider's webhooks: one end and one callback each."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest
import redis

from stack.receiver import CallbackReceiver
from tests.http.conftest import TERMINAL, Caller, SandboxDesk
from tests.http.test_cancel import WAYS, cancel
from tests.http.test_dead_letters import problem
from tests.http.test_late_webhooks import slots
from tests.http.test_webhooks import statuses

_JOBS = 20
#: How many statuses a job has had when it is canceled: from queued to storing.
_STAGES = (1, 2, 3, 4)


def race(api: Caller, way: str, make: Callable[[int], str]) -> dict[str, httpx.Response]:
    """Create jobs, and cancel each as soon as it has come to its stage; return the answers."""

    def run(number: int) -> tuple[str, httpx.Response]:
        job_id = make(number)
        stage = _STAGES[number % len(_STAGES)]
        api.eventually(lambda: len(api.job(job_id)["timeline"]) >= stage)
        return job_id, cancel(api, job_id, way)

    with ThreadPoolExecutor(_JOBS) as threads:
        return dict(threads.map(run, range(_JOBS)))


def end(api: Caller, job_id: str, answer: httpx.Response) -> dict[str, Any]:
    """Return the ended job, which must have ended once and as its cancel was answered."""
    view: dict[str, Any] = api.ended(job_id)
    assert [one for one in statuses(view) if one in TERMINAL] == [view["status"]]
    if answer.status_code == httpx.codes.CONFLICT:
        problem(answer, 409, "cannot-cancel")
        assert view["status"] == "succeeded"
    else:
        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.json()["timeline"] == view["timeline"]
    assert (view["status"] == "succeeded") == bool(view["artifacts"])
    assert view["status"] in {"succeeded", "canceled"}
    return view


def is_over(api: Caller, sandbox: SandboxDesk, redis_of: "redis.Redis", job_id: str) -> bool:
    """Return whether a job's caller and all its webhooks were told, and its task has ended."""
    told = api.job(job_id)["callback"]["state"] == "delivered"
    webhooks = all(len(task["deliveries"]) > 1 for task in sandbox.tasks(job_id))
    return told and webhooks and not redis_of.hexists(f"job:{job_id}", "discarding")


@pytest.mark.parametrize("way", WAYS)
def test_each_job_ends_once(
    *,
    api: Caller,
    sandbox: SandboxDesk,
    redis_of: "redis.Redis",
    receiver: CallbackReceiver,
    way: str,
) -> None:
    """Whoever wins, its caller is told of one end, and no slot stays taken; webhooks come twice."""
    mark = uuid.uuid4().hex
    sandbox.faults(duplicate_webhook={"match": mark, "copies": 2})

    answers = race(
        api, way, lambda number: api.create(f"{mark} {number}", callback={"url": receiver.url})
    )

    ends = {job_id: end(api, job_id, answer) for job_id, answer in answers.items()}
    for job_id, view in ends.items():
        api.eventually(partial(is_over, api, sandbox, redis_of, job_id))
        made = sandbox.tasks(job_id)
        assert len(made) <= 1
        assert sum(task["downloads"] for task in made) == (view["status"] == "succeeded")
        assert slots(redis_of, job_id) == []
        # Whatever starts the step makes it due in the same script: no callback is to come.
        assert redis_of.zscore("due", f"notify:{job_id}") is None
        after, open_facts = end(api, job_id, answers[job_id]), {"callback": 0, "provider": 0}
        assert after | open_facts == view | open_facts
    bodies = [json.loads(one.body) for one in receiver.callbacks]
    told = sorted((one["data"]["id"], one["type"]) for one in bodies)
    assert told == sorted((job_id, f"job.{view['status']}") for job_id, view in ends.items())
