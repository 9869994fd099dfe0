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
