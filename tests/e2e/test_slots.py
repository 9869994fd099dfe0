"""A backlog larger than the account's slots."""

from collections.abc import Iterator
from typing import Any

import pytest

from stack.options import StackOptions
from stack.stack import Stack
from tests.e2e.conftest import Customer
from tests.timing import FAST


@pytest.fixture(scope="module")
def loaded() -> Iterator[Stack]:
    """Run the product on a provider that takes three seconds for an image.

    So all slots are in use at once, however slowly this machine submits.
    """
    sandbox = {"SANDBOX_GENERATION_SECONDS": "3"}
    with Stack(StackOptions(relay_variables=FAST, sandbox_variables=sandbox)) as stack:
        yield stack


def _small(number: int) -> dict[str, Any]:
    size = {"width": 256, "height": 256}
    return {"model": "flux-pro-1.1", "input": {"prompt": f"small {number}", **size}}


def test_a_backlog_of_200_never_meets_a_429(customer: Customer) -> None:
    """200 jobs queued on 24 slots: the provider refuses none of them, and every slot is used."""
    job_ids = customer.send(200, _small)

    jobs = customer.wait_for_end(job_ids, 120)

    customer.judge(jobs)
    books = customer.ledger()
    assert books["rejections"].get("429", 0) == 0
    assert books["active_most"] == 24


def test_canceled_jobs_hold_their_slots_until_their_tasks_end(customer: Customer) -> None:
    """Half of 80 jobs are canceled at the provider: it never sees more tasks than it allows."""
    job_ids = customer.send(80, _small)
    unwanted = job_ids[::2]
    for job_id in unwanted:
        customer.eventually(
            lambda job_id=job_id: customer.job(job_id)["status"] != "queued"  # type: ignore[misc]  # bound now
        )
        # One that is being stored already is not canceled.
        assert customer.http.delete(f"/v1/jobs/{job_id}").status_code in (200, 409)

    jobs = customer.wait_for_end(job_ids, 120)
    redis = customer.stack.redis()
    customer.eventually(lambda: redis.zcard("slots:default") == 0, 30)
    customer.judge([job for job in jobs if job["status"] != "canceled"])
    ended = [job for job in jobs if job["status"] == "canceled"]
    assert ended
    assert all(job["id"] in unwanted for job in ended)
    assert {True} == {job["provider"]["discarded"] for job in ended if job["provider"]["id"]}
    books = customer.ledger()
    assert books["rejections"].get("429", 0) == 0
    assert books["active_most"] <= 24
