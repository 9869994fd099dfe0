"""What the streams of events and attempts take in Redis, as docs/scaling.md states it."""

import re
from typing import Any, Final

import pytest

from core.jobs.callback_events import CallbackEvent
from core.jobs.job import JobId
from core.jobs.job_ids import new_job_id
from core.jobs.status import Status
from core.redis.change import Change
from core.redis.store import ATTEMPTS, JobStore
from tests.contract.jobs import make_request
from tests.doc_pages import page
from worker.clients.callbacks import Delivery
from worker.steps.callbacks.attempt import attempt_record

_JOBS: Final = 300
_WAY: Final = (Status.GENERATING, Status.STORING, Status.SUCCEEDED)
_TOLD: Final = Delivery(status=204, milliseconds=12)
_REFUSED: Final = Delivery(error="Cannot connect: connection refused")


def run_jobs(store: JobStore, delivery: Delivery) -> list[JobId]:
    """Have jobs succeed, each with one attempt at its callback; return their ids."""
    ids = [new_job_id() for _ in range(_JOBS)]
    attempt = attempt_record(CallbackEvent("job.succeeded"), delivery, 1_750_000_000.123)
    for job_id in ids:
        store.create(job_id, make_request(callback_url="https://caller.example/"))
        assert all(store.move(job_id, status) for status in _WAY)
        assert store.change(job_id, {Status.SUCCEEDED}, Change(attempt=attempt))
    return ids


def stated(pattern: str) -> float:
    """Return a number of the page; `#` stands for it."""
    found = re.search(pattern.replace("#", r"([\d,]+)"), page("docs/scaling.md"))
    assert found, pattern
    return float(found[1].replace(",", ""))


def per_entry(client: Any, key: str) -> float:
    """Return the bytes per entry of a stream."""
    return float(client.memory_usage(key, samples=0) / client.xlen(key))


def test_events_take_what_the_page_says(store: JobStore, redis_client: Any) -> None:
    """Five per job, which together are smaller than the record of the job."""
    ids = run_jobs(store, _TOLD)

    assert redis_client.xlen("events:demo") == 5 * _JOBS
    event = per_entry(redis_client, "events:demo")
    assert event == pytest.approx(stated("An event takes about # bytes"), rel=0.1)
    records = [redis_client.memory_usage(f"job:{one}", samples=0) for one in ids]
    assert 5 * event < min(records)


@pytest.mark.parametrize(
    ("delivery", "words"),
    [(_TOLD, "An attempt takes about # bytes"), (_REFUSED, "with an error about # bytes")],
)
def test_attempts_take_what_the_page_says(
    store: JobStore, redis_client: Any, delivery: Delivery, words: str
) -> None:
    """One per call of a receiver; so many are kept per tenant."""
    run_jobs(store, delivery)

    assert redis_client.xlen("attempts:demo") == _JOBS
    attempt = per_entry(redis_client, "attempts:demo")
    assert attempt == pytest.approx(stated(words), rel=0.1)
    assert stated("the newest # attempts") == ATTEMPTS
