"""Job records that were fetched together with their tasks, to save a round trip per step."""

import threading
from collections.abc import Sequence


class Prefetched(threading.local):
    """The record fetched with the task that the current thread is about to run."""

    _record: tuple[str, str, Sequence[str]] | None = None

    def put(self, step: str, job_id: str, record: Sequence[str]) -> None:
        """Keep a record that was read when its task was taken and its step's lease renewed.

        Args:
            step: The task's step.
            job_id: The task's job.
            record: Alternating names and values; empty if there is no such job.
        """
        self._record = (step, job_id, record)

    def take(self, step: str, job_id: str) -> Sequence[str] | None:
        """Return the record, once, if it was fetched for this step and job."""
        brought, self._record = self._record, None
        return brought[2] if brought and brought[:2] == (step, job_id) else None
