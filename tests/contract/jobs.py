"""Jobs to put into a store, and a clock that a test sets."""

from dataclasses import dataclass
from typing import Any

from core.jobs.job import JobId, JobRequest
from core.jobs.status import Status
from core.redis.store import JobStore


@dataclass
class Clock:
    """Returns the Unix time in seconds that it was set to."""

    now: float = 1_750_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def make_request(**fields: Any) -> JobRequest:
    """Return a request, of which anything may be set."""
    usual: dict[str, Any] = {
        "tenant": "demo",
        "model": "flux-pro-1.1",
        "input": {"prompt": "a lighthouse"},
        "created_at": 1_750_000_000.0,
        "deadline_at": 1_750_086_400.0,
    }
    return JobRequest(**(usual | fields))


def accept(store: JobStore, *names: str, **fields: Any) -> list[JobId]:
    """Have jobs of these names accepted, one after another."""
    return [store.create(JobId(name), make_request(**fields)) for name in names]


def status_of(store: JobStore, job_id: str) -> Status:
    """Return where a job stands."""
    job = store.load(JobId(job_id))
    if job is None:
        raise LookupError(job_id)
    return job.status


def standing(store: JobStore, names: str, status: Status) -> str:
    """Return those of the (space-separated) jobs that stand at `status`, in the same form."""
    return " ".join(name for name in names.split() if status_of(store, name) is status)
