"""Records that came along with tasks: their steps have begun, and need not ask for them."""

import threading
from collections.abc import Sequence


class Prefetched(threading.local):
    """What the task came with that a thread is about to run."""

    _record: tuple[str, str, Sequence[str]] | None = None

    def put(self, step: str, job_id: str, record: Sequence[str]) -> None:
        """Note a record that was read as its task was taken and its step's lease renewed.

        Args:
            step: The task's.
            job_id: The task's.
            record: Names and values in turn; empty where there is no such job.
        """
        self._record = (step, job_id, record)

    def take(self, step: str, job_id: str) -> Sequence[str] | None:
        """Return the record, once, to the step that it was brought for."""
        brought, self._record = self._record, None
        return brought[2] if brought and brought[:2] == (step, job_id) else None
