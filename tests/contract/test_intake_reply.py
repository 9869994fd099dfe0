"""The answer to an intake is the record, which nobody reads back."""

from core.jobs.job import JobId
from core.jobs.status import Status
from core.redis.store import JobStore
from tests.contract.jobs import make_request


def test_what_is_accepted_is_answered_as_it_stands(store: JobStore) -> None:
    """The answer holds the record: of a job with a slot, of one that waits, of one known before."""
    names = [JobId(f"{number:04d}") for number in range(25)]

    answers = [store.accept(name, make_request()) for name in names]

    assert [answer.job for answer in answers] == [store.load(name) for name in names]
    statuses = [answer.job.status for answer in answers if answer.job]
    assert statuses == [Status.SUBMITTING] * 24 + [Status.QUEUED]
    assert store.accept(names[0], make_request()) == answers[0]
