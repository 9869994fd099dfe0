"""Cancels by both clients, while the provider works on the job."""

import uuid
from collections.abc import Callable

import pytest

from fluxrelay import ConflictError, FluxRelay
from stack.stack import Stack
from tests.client.test_jobs import made
from tests.conftest import Eventually

#: When a job that nobody wakes is polled for: later than any test runs.
NEVER = 4102444800  # Unix time: the year 2100


@pytest.mark.parametrize(("model", "cost"), [("flux-2-pro", 3), ("flux-pro-1.1", 4)])
def test_what_a_discarded_task_cost_is_shown(
    *,
    client: FluxRelay,
    relay: Stack,
    faults: Callable[..., None],
    eventually: Eventually,
    model: str,
    cost: float,
) -> None:
    """The job ends at once; what its task cost is there once the provider was asked."""
    mark = uuid.uuid4().hex
    faults(drop_webhook={"match": mark})
    created = client.jobs.create(model, {"prompt": mark})
    poll = f"poll:{created.id}"
    with relay.redis() as redis:
        eventually(lambda: bool(redis.zscore("due", poll)))
        redis.zadd("due", {poll: NEVER})

        job = client.jobs.cancel(created)

        redis.zadd("due", {poll: 0}, xx=True)
        eventually(lambda: not redis.hexists(f"job:{created.id}", "discarding"))
    assert (job.status, job.ended, job.artifacts) == ("canceled", True, ())
    assert job.provider is not None
    assert job.provider.discarded
    after = client.jobs.get(job)
    assert after.provider is not None
    assert (after.provider.cost, after.provider.discarded) == (cost, True)
    assert (after.status, after.timeline) == (job.status, job.timeline)


def test_a_result_that_is_being_stored_is_not_canceled(
    client: FluxRelay, faults: Callable[..., None], eventually: Eventually
) -> None:
    """It is too late: an error that names the reason, and the job has its result soon after."""
    mark = uuid.uuid4().hex
    faults(refuse_download={"match": mark, "status": 503})
    job = made(client, mark)
    eventually(lambda: client.jobs.get(job).status == "storing")

    with pytest.raises(ConflictError, match="being stored") as caught:
        client.jobs.cancel(job)

    assert (caught.value.status, caught.value.type) == (409, "cannot-cancel")
    faults()
    assert client.jobs.wait(job).succeeded
