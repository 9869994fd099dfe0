"""Jobs whose ids say when they were accepted, and a list of them, page by page."""

from dataclasses import dataclass, field
from typing import Any

from core.jobs.job import JobId
from core.jobs.job_ids import prefix_at
from core.jobs.status import Status
from core.operations.job_lists import Cursor, JobFilter, JobLists, Page
from core.redis.store import JobStore
from tests.contract.jobs import Clock, make_request


@dataclass
class Listed:
    """A store whose jobs get ids of the test's time, and its lists."""

    store: JobStore
    clock: Clock
    made: int = field(default=0)

    @property
    def lists(self) -> JobLists:
        """Return the lists."""
        return JobLists(self.store)

    def job(self, status: Status = Status.QUEUED, **fields: Any) -> JobId:
        """Have a job accepted one second after the one before, and move to a status."""
        self.clock.now += 1
        self.made += 1
        prefix = prefix_at(int(self.clock.now * 1000))
        job_id = JobId(f"{prefix}-7000-8000-{self.made:012x}")
        self.store.create(job_id, make_request(**fields))
        for step in _WAYS[status]:
            assert self.store.move(job_id, step)
        return job_id

    def jobs(self, count: int, status: Status = Status.QUEUED, **fields: Any) -> list[JobId]:
        """Have several accepted; the newest is first."""
        return [self.job(status, **fields) for _ in range(count)][::-1]

    def page(self, limit: int = 100, cursor: Cursor | None = None, **wanted: Any) -> Page:
        """Return a page of the tenant `demo`."""
        return self.lists.page(JobFilter(**{"tenant": "demo", **wanted}), limit, cursor)

    def all(self, limit: int = 100, **wanted: Any) -> list[JobId]:
        """Return the ids on all pages, in their order."""
        page = self.page(limit, **wanted)
        found = [job.id for job in page.jobs]
        while page.cursor:
            page = self.page(limit, page.cursor, **wanted)
            found += [job.id for job in page.jobs]
        return found


#: How a waiting job comes to a status; a paused pool keeps it from moving by itself.
_WAYS: dict[Status, tuple[Status, ...]] = {
    Status.QUEUED: (),
    Status.SUBMITTING: (Status.SUBMITTING,),
    Status.GENERATING: (Status.SUBMITTING, Status.GENERATING),
    Status.STORING: (Status.STORING,),
    Status.SUCCEEDED: (Status.STORING, Status.SUCCEEDED),
    Status.FAILED: (Status.FAILED,),
    Status.CANCELED: (Status.CANCELED,),
}
