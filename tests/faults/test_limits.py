"""What becomes of jobs when the account runs dry or is shared, or the provider dies."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from stack.options import StackOptions
from tests.conftest import Eventually
from tests.e2e.conftest import Customer
from tests.faults.harness import (
    PATIENCE,
    Played,
    account_states,
    opened,
    order,
    owner,
    set_credits,
    set_faults,
)
from tests.timing import FAST

SLOTS = 8
PLENTY = 100_000.0


@pytest.fixture(scope="module")
def customer(eventually: Eventually) -> Iterator[Customer]:
    """Run a stack on an account of eight slots, where an image takes 0.4 s."""
    options = StackOptions(
        # A job may be unlucky at each of three deaths of the provider.
        relay_variables={**FAST, "FLUXRELAY_SLOTS": str(SLOTS), "FLUXRELAY_MAX_RESUBMITS": "3"},
        sandbox_variables={
            "SANDBOX_TIME_SCALE": "0.1",
            "SANDBOX_GENERATION_SECONDS": "4",
            "SANDBOX_SLOTS": str(SLOTS),
        },
    )
    with opened(options, eventually) as found:
        yield found


@pytest.fixture(autouse=True)
def _fair(customer: Customer) -> Iterator[None]:
    """Leave no fault and no want of credits to the next test."""
    yield
    set_faults(customer, {})
    set_credits(customer, PLENTY)


def test_credits_that_run_out(customer: Customer) -> None:
    """402 in mid-run fails nothing: jobs wait, `/readyz` says why, all are made once in the end."""
    # The workers look at the account's credits as they start; had they none then, none would post.
    customer.eventually(lambda: _account(customer)["credits"] is not None, PATIENCE)
    job_ids = customer.send(30, lambda number: order(f"dear {number}"))
    _until_made(customer, job_ids, 6)
    set_credits(customer, 0)
    # The credits it tells of are those of the latest check, which follows the refusal.
    customer.eventually(lambda: _account(customer)["credits"] == "0.0", PATIENCE)
    customer.eventually(lambda: _refused(customer).startswith("402"), PATIENCE)
    customer.eventually(lambda: customer.ledger()["active_now"] == 0, PATIENCE)
    customer.eventually(lambda: not _busy(customer, job_ids), PATIENCE)
    made = len(_made(customer, job_ids))
    waiting = customer.statuses(job_ids)

    set_credits(customer, PLENTY)

    assert made < len(job_ids)
    assert {name: len(ids) for name, ids in waiting.items()} == {
        "succeeded": made,
        "queued": len(job_ids) - made,
    }
    customer.eventually(lambda: not _refused(customer), PATIENCE)
    _all_made_once(customer, job_ids)
    events = customer.stack.processes["worker.submit"].output()
    assert "account.refused" in events
    assert "account.resumed" in events


def test_credits_that_nearly_run_out(customer: Customer) -> None:
    """402 while some credits are left, too few for a job, fails nothing either."""
    set_credits(customer, 10)  # each image costs 4
    job_ids = customer.send(12, lambda number: order(f"nearly {number}"))
    customer.eventually(lambda: len(_made(customer, job_ids)) == 2, PATIENCE)
    before = customer.ledger()["rejections"].get("402", 0)
    customer.eventually(
        lambda: customer.ledger()["rejections"].get("402", 0) > before + SLOTS, PATIENCE
    )
    waiting = customer.statuses(job_ids)

    set_credits(customer, PLENTY)

    assert "failed" not in waiting
    _all_made_once(customer, job_ids)


def test_a_stranger_on_the_same_account(customer: Customer) -> None:
    """429 since another takes most of our slots fails nothing: all are made once, in order."""
    refused = customer.ledger()["rejections"]["429"]
    set_faults(customer, {"delay_generation": {"match": "[stranger]", "seconds": 20}})
    for number in range(SLOTS - 2):
        _as_a_stranger(customer, number)
    set_faults(customer, {})

    job_ids = customer.send(32, lambda number: order(f"ours {number}"))

    _all_made_once(customer, job_ids)
    assert customer.ledger()["rejections"]["429"] > refused
    made = _made(customer, job_ids)
    accepted = sorted(job_ids)  # an id begins with its time
    assert max(map(made.index, accepted[:SLOTS])) < min(map(made.index, accepted[-SLOTS:]))


def test_a_provider_that_dies(customer: Customer) -> None:
    """Killed in mid-run and back with its ledger: nothing is lost, nothing is made twice."""
    set_faults(
        customer,
        {
            "trickle_download": {"match": "[storing]", "seconds": 20},
            "delay_generation": {"match": "[generating]", "seconds": 20},
        },
    )
    storing = customer.send(4, lambda number: order(f"[storing] {number}"))
    _stand(customer, storing, "storing")
    generating = customer.send(SLOTS, lambda number: order(f"[generating] {number}"))
    _stand(customer, generating, "generating")
    queued = customer.send(6, lambda number: order(f"[queued] {number}"))
    sandbox = customer.stack.processes["sandbox"]

    sandbox.kill()
    standing = customer.statuses(queued)
    meanwhile = customer.send(3, lambda number: order(f"[meanwhile] {number}"))
    sandbox.start()
    sandbox.wait_ready()

    assert list(standing) == ["queued"]
    _all_made_once(customer, [*storing, *generating, *queued, *meanwhile])


def test_a_provider_that_dies_again_and_again(customer: Customer) -> None:
    """Killed while submits are under way: nothing is lost, what may be made twice is counted."""
    sandbox = customer.stack.processes["sandbox"]
    job_ids = customer.send(40, lambda number: order(f"unlucky {number}"))
    for share in (5, 15, 25):
        _until_made(customer, job_ids, share)
        sandbox.kill()
        sandbox.start()
        sandbox.wait_ready()

    jobs = customer.wait_for_end(job_ids, PATIENCE)
    customer.judge(jobs)
    resubmits = sum(job["provider"]["resubmits"] for job in jobs)
    assert len(job_ids) <= len(_made(customer, job_ids)) <= len(job_ids) + resubmits


def _all_made_once(customer: Customer, job_ids: list[str]) -> None:
    """Wait for the end of all jobs, which must be a good one, each with one task."""
    jobs = customer.wait_for_end(job_ids, PATIENCE)
    Played(customer, {"all": jobs}).made_once("all")
    assert set(_made(customer, job_ids)) == set(job_ids)


def _made(customer: Customer, job_ids: list[str]) -> list[str]:
    """Return those of the jobs that were made, in the order of their tasks."""
    return [job for task in customer.ledger()["tasks"] if (job := owner(task)) in set(job_ids)]


def _until_made(customer: Customer, job_ids: list[str], count: int) -> None:
    """Wait until so many tasks of the jobs were made."""
    customer.eventually(lambda: len(_made(customer, job_ids)) >= count, PATIENCE)


def _stand(customer: Customer, job_ids: list[str], status: str) -> None:
    """Wait until all jobs stand there."""
    customer.eventually(lambda: list(customer.statuses(job_ids)) == [status], PATIENCE)


def _busy(customer: Customer, job_ids: list[str]) -> bool:
    """Say whether some job is neither waiting nor done."""
    return not set(customer.statuses(job_ids)) <= {"queued", "succeeded"}


def _refused(customer: Customer) -> str:
    return str(_account(customer)["refused"] or "")


def _account(customer: Customer) -> dict[str, Any]:
    return account_states(customer)["default"]


def _as_a_stranger(customer: Customer, number: int) -> None:
    """Make a task with the account's key, past the product."""
    answer = httpx.post(
        f"{customer.stack.sandbox_url}/v1/flux-pro-1.1",
        json={"prompt": f"[stranger] {number}", "width": 256, "height": 256},
        headers={"x-key": customer.stack.credentials.provider_key},
        trust_env=False,
        timeout=60,
    )
    assert answer.is_success, answer.text
