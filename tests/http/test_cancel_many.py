"""`POST /v1/jobs/cancel`: many jobs by a filter, if they are as many as the caller says."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis

from core.jobs.index_names import metadata_index
from tests.http.conftest import Caller, Rotating
from tests.http.test_dead_letters import problem


@pytest.fixture
def caller(
    rotating: Rotating, callers: Callable[[str, str | None], Caller], redis_of: "redis.Redis"
) -> Iterator[Caller]:
    """Return a caller whose jobs wait for a slot."""
    redis_of.set("pool:default:paused", "a test", px=60_000)
    yield callers(rotating.url, rotating.other_key)
    redis_of.delete("pool:default:paused")


def cancel(caller: Caller, **body: Any) -> httpx.Response:
    """Cancel jobs by a filter."""
    headers = {"authorization": f"Bearer {caller.key}"}
    return caller.client.post("/v1/jobs/cancel", content=json.dumps(body), headers=headers)


def test_jobs_are_canceled_once_their_number_is_confirmed(caller: Caller) -> None:
    """With another number nothing happens, and the answer says which; then all of them end."""
    order = uuid.uuid4().hex
    jobs = [caller.create("a", metadata={"order": order}) for _ in range(3)]
    other = caller.create("b")
    wanted: dict[str, Any] = {"metadata": {"order": order}, "status": ["queued", "failed"]}

    for confirm in (0, 2, 4):
        assert problem(cancel(caller, **wanted, confirm=confirm), 409, "confirm-mismatch")[
            "count"
        ] == len(jobs)
    assert {caller.job(job)["status"] for job in jobs} == {"queued"}
    answer = cancel(caller, **wanted, confirm=3)

    assert (answer.status_code, answer.json()) == (200, {"canceled": 3, "not_canceled": 0})
    assert answer.headers["cache-control"] == "no-store"
    assert {caller.job(job)["status"] for job in jobs} == {"canceled"}
    assert caller.job(other)["status"] == "queued"
    assert problem(cancel(caller, **wanted, confirm=3), 409, "confirm-mismatch")["count"] == 0
    assert cancel(caller, **wanted, confirm=0).json() == {"canceled": 0, "not_canceled": 0}


def test_every_filter_of_the_list_selects(caller: Caller) -> None:
    """Model, times and batch narrow it as they do in the list; a number may be written as 1.0."""
    order = uuid.uuid4().hex
    first = caller.create("a", metadata={"order": order})
    second = caller.create("b", model="flux-kontext-pro", metadata={"order": order})
    wanted: dict[str, Any] = {"metadata": {"order": order}}
    at = caller.job(second)["created_at"]

    batch = {"batch": str(uuid.uuid4())}
    assert cancel(caller, **wanted, **batch, confirm=0).json()["canceled"] == 0
    assert cancel(caller, **wanted, created_after=4e9, confirm=0).json()["canceled"] == 0
    assert cancel(caller, **wanted, model="flux-dev", confirm=0).json()["canceled"] == 0
    assert cancel(caller, **wanted, created_before=at, confirm=1.0).json()["canceled"] == 1
    assert [caller.job(job)["status"] for job in (first, second)] == ["canceled", "queued"]


def test_all_jobs_of_a_tenant(caller: Caller, api: Caller) -> None:
    """`all` stands in place of filters, and means one's own jobs."""
    own, foreign = caller.create("a"), api.create("b")
    count = problem(cancel(caller, all=True, confirm=0), 409, "confirm-mismatch")["count"]

    assert cancel(caller, all=True, confirm=count).json()["canceled"] == count
    assert caller.job(own)["status"] == "canceled"
    assert api.job(foreign)["status"] == "queued"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"confirm": 1}, ["all"]),
        ({}, ["all", "confirm"]),
        ({"all": False, "confirm": 1}, ["all"]),
        ({"all": 1, "confirm": 1}, ["all"]),
        ({"all": True, "model": "flux-dev", "confirm": 1}, ["all"]),
        ({"status": ["queued"]}, ["confirm"]),
        ({"status": ["queued"], "confirm": -1}, ["confirm"]),
        ({"status": ["queued"], "confirm": True}, ["confirm"]),
        ({"status": ["queued"], "confirm": "3"}, ["confirm"]),
        ({"status": "queued", "confirm": 1}, ["status"]),
        ({"status": [], "confirm": 1}, ["status"]),
        ({"status": None, "confirm": 1}, ["status"]),
        ({"status": [{}], "confirm": 1}, ["status"]),
        ({"model": None, "confirm": 1}, ["model"]),
        ({"model": ["flux-dev"], "confirm": 1}, ["model"]),
        ({"metadata": {}, "confirm": 1}, ["metadata"]),
        ({"metadata": [], "confirm": 1}, ["metadata"]),
        ({"metadata": {"order": None}, "confirm": 1}, ["metadata.order"]),
        ({"metadata": {"oder": 7}, "confirm": 1}, ["metadata.oder"]),
        ({"metadata": {"order": "\ud800"}, "confirm": 1}, ["metadata.order"]),
        ({"created_after": True, "confirm": 1}, ["created_after"]),
        ({"created_after": "soon", "confirm": 1}, ["created_after"]),
        ({"created_after": 2, "created_before": 1.5, "confirm": 1}, ["created_before"]),
        ({"batch": 7, "confirm": 1}, ["batch"]),
        ({"state": "queued", "confirm": 1}, ["state"]),
    ],
)
def test_a_filter_that_is_not_understood_cancels_nothing(
    caller: Caller, body: dict[str, Any], fields: list[str]
) -> None:
    """It is a 422 that names what is wrong; in particular it is not taken for no filter."""
    errors = problem(cancel(caller, **body), 422, "invalid-fields")["errors"]

    assert [error["field"] for error in errors] == fields


def test_more_than_ten_thousand_are_too_many(caller: Caller, redis_of: "redis.Redis") -> None:
    """They are refused as a whole, whatever is confirmed."""
    order, prefix = uuid.uuid4().hex, "00000000-0000-7000-8000"
    jobs = [f"{prefix}-{number:012x}" for number in range(10_001)]
    keys = ("jobs:other:status:queued", f"jobs:other:{metadata_index('order', order)}")
    with redis_of.pipeline() as pipeline:
        for job in jobs:
            pipeline.hset(f"job:{job}", mapping={"status": "queued", "tenant": "other"})
        for key in keys:
            pipeline.zadd(key, dict.fromkeys(jobs, 0))
        pipeline.execute()
    wanted: dict[str, Any] = {"metadata": {"order": order}}

    problem(cancel(caller, **wanted, confirm=10_001), 422, "too-many-jobs")
    redis_of.delete(f"job:{jobs[0]}")
    found = problem(cancel(caller, **wanted, confirm=0), 409, "confirm-mismatch")["count"]

    assert found == 10_000
    redis_of.delete(*(f"job:{job}" for job in jobs), keys[1])
    redis_of.zrem(keys[0], *jobs)


def test_a_body_that_is_no_object(caller: Caller) -> None:
    """A list is refused, and so is what is no JSON."""
    headers = {"authorization": f"Bearer {caller.key}"}
    bodies = {b"[]": (422, "invalid-fields"), b"{": (400, "invalid-json")}
    for body, (status, kind) in bodies.items():
        answer = caller.client.post("/v1/jobs/cancel", content=body, headers=headers)
        problem(answer, status, kind)
