"""Where a queued job stands in line, and when it may start."""

from collections.abc import Callable

import pytest

from core.jobs.job import JobId
from core.jobs.status import Status
from core.operations.waiting_line import Place, prepare_place
from core.redis.store import JobStore
from tests.contract.jobs import Clock
from tests.contract.listed_jobs import Listed


@pytest.fixture
def line(store_with: Callable[..., JobStore], clock: Clock) -> Listed:
    """Return an empty store with one slot."""
    return Listed(store_with(slots="1"), clock)


def place_of(line: Listed, job_id: JobId) -> Place | None:
    """Return where a job stands in line."""
    return line.store.execute(prepare_place(line.store, job_id))


def place(line: Listed, job_id: JobId) -> Place:
    """Return the place of a job that waits."""
    found = place_of(line, job_id)
    assert found is not None
    return found


def finish(line: Listed, job_id: JobId, seconds: float) -> None:
    """Have a job that holds the slot end after some seconds."""
    line.clock.now += seconds
    assert line.store.move(job_id, Status.FAILED)


def test_a_place_is_the_number_of_jobs_ahead(line: Listed) -> None:
    """The first has none ahead; a higher priority goes before, and an end moves all up."""
    holds, first, second = (line.job() for _ in range(3))
    urgent = line.job(priority=5)

    assert place_of(line, holds) is None
    assert [place(line, job).position for job in (urgent, first, second)] == [0, 1, 2]
    finish(line, holds, 1)
    assert place_of(line, urgent) is None
    assert [place(line, job).position for job in (first, second)] == [0, 1]


def test_nobody_knows_when_before_the_line_has_moved(line: Listed) -> None:
    """Until a job has started that waited for another, there is no estimate."""
    holds, first, second = (line.job() for _ in range(3))
    assert place(line, first).starts_at is None

    finish(line, holds, 10)
    assert place(line, second).starts_at is None


def test_the_start_is_estimated_by_the_pace_of_the_line(line: Listed) -> None:
    """With a start every ten seconds, the third in line may start in thirty."""
    jobs = [line.job() for _ in range(7)]
    for job_id in jobs[:4]:
        finish(line, job_id, 10)

    now = line.clock.now
    starts = [place(line, job_id).starts_at for job_id in jobs[5:]]
    assert starts == pytest.approx([now + 10, now + 20])
    line.clock.now += 4
    assert place(line, jobs[5]).starts_at == pytest.approx(now + 10)


def test_a_line_that_stands_still_gives_no_time_that_has_passed(line: Listed) -> None:
    """If no slot was granted for long, the estimate stays ahead of now."""
    jobs = [line.job() for _ in range(6)]
    for job_id in jobs[:3]:
        finish(line, job_id, 10)
    line.clock.now += 500

    now = line.clock.now
    assert place(line, jobs[4]).starts_at == pytest.approx(now)
    assert place(line, jobs[5]).starts_at == pytest.approx(now + 10)


def test_an_empty_line_does_not_count_as_a_slow_one(line: Listed) -> None:
    """The hours in which nobody waited change nothing in the pace."""
    jobs = [line.job() for _ in range(4)]
    for job_id in jobs:
        finish(line, job_id, 10)
    line.clock.now += 10_000

    later = [line.job() for _ in range(4)]
    finish(line, later[0], 10)

    assert place(line, later[2]).starts_at == pytest.approx(line.clock.now + 10)


def test_a_job_that_is_gone_has_no_place(line: Listed) -> None:
    """A job that nobody knows does not wait."""
    assert place_of(line, JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")) is None
