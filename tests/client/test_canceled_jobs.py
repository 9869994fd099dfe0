"""Cancels by both clients, while the provider works on the job."""

import uuid
from collections.abc import Callable

import pytest

from fluxrelay import ConflictError, FluxRelay
from tests.client.test_jobs import made
from tests.conftest import Eventually


def generating(client: FluxRelay, eventually: Eventually, model: str, mark: str) -> str:
    """Create a job; return its id once the provider works on it."""
    job = client.jobs.create(model, {"prompt": mark})
    eventually(lambda: client.jobs.get(job).status == "generating")
    return job.id


@pytest.mark.parametrize(("model", "cost"), [("flux-2-pro", 3), ("flux-pro-1.1", 4)])
def test_what_a_discarded_task_cost_is_shown(
    client: FluxRelay,
    faults: Callable[..., None],
    eventually: Eventually,
    model: str,
    cost: float,
) -> None:
    """The job ends at once; what its task cost is there once the provider has told it."""
    mark = uuid.uuid4().hex
    faults(delay_generation={"match": mark, "seconds": 2}, drop_webhook={"match": mark})
    job_id = generating(client, eventually, model, mark)

    job = client.jobs.cancel(job_id)

    assert (job.status, job.ended, job.artifacts) == ("canceled", True, ())
    assert job.provider is not None
    assert job.provider.discarded

    def known() -> bool:
        provider = client.jobs.get(job_id).provider
        return provider is not None and provider.cost is not None

    eventually(known)
    after = client.jobs.get(job_id)
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
