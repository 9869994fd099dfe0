"""The ledger: everything that was made, delivered and downloaded, as evidence for checks.

In memory it is a view of the task book. On disk, if a path is set, it has one JSON line per event,
flushed at once so that it survives a kill of the process.
"""

import json
import os
from collections import Counter
from pathlib import Path

from sandbox.tasks.persistence import persisted_fields
from sandbox.tasks.results import Artifact, Role, instant
from sandbox.tasks.tasks import Task, TaskBook


class Ledger:
    """Records events and shows the ledger."""

    def __init__(
        self, book: TaskBook, path: Path | None, now: float, rejections: Counter[str] | None = None
    ) -> None:
        """Open the file, if any, for appending; `rejections` are those of earlier processes.

        Raises:
            OSError: The file cannot be opened.
        """
        self._book = book
        self._rejections: Counter[str] = Counter() if rejections is None else rejections
        self._file = path.open("ab") if path else None
        if path and _is_cut_off(path):
            self._end_line()
        self._write("started", now)

    def created(self, task: Task, now: float) -> None:
        """Record that a task was created, which is when it is charged."""
        self._write("created", now, task=entry(task), kept=persisted_fields(task))

    def finished(self, task: Task, now: float) -> None:
        """Record that a task has ended."""
        self._write("finished", now, task=entry(task), kept=persisted_fields(task))

    def delivery(self, task: Task, attempt: int, now: float, **outcome: object) -> None:
        """Record one attempt at a webhook: its HTTP `status`, or its `error`."""
        note = {"at": instant(now), "attempt": attempt, **outcome}
        task.deliveries.append(note)
        self._write("delivery", now, id=task.id, delivery=note)

    def download(self, task: Task, role: str, now: float) -> None:
        """Record that a file of the result was sent completely."""
        task.downloads[role] += 1
        self._write("download", now, id=task.id, role=role)

    def rejected(self, status: int, now: float) -> None:
        """Record a submit that created no task."""
        self._rejections[str(status)] += 1
        self._write("rejected", now, status=status)

    def credited(self, account: str, left: float, now: float) -> None:
        """Record that an account's credits were set."""
        self._write("credited", now, account=account, left=left)

    def show(self) -> dict[str, object]:
        """Return the whole ledger."""
        return {
            "tasks": [entry(task) for task in self._book],
            "rejections": {"429": 0, **self._rejections},
            "active_now": self._book.active_now,
            "active_most": self._book.active_most,
            "active_most_by_account": self._book.active_most_by_account,
            "active_most_by_model": self._book.active_most_by_model,
        }

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _end_line(self) -> None:
        """End a line that a kill truncated."""
        if self._file:
            self._file.write(b"\n")

    def _write(self, event: str, now: float, **facts: object) -> None:
        if self._file:
            line = json.dumps({"at": instant(now), "event": event, **facts})
            self._file.write(line.encode("ascii") + b"\n")
            self._file.flush()


def _is_cut_off(path: Path) -> bool:
    """Whether the file's last line is incomplete, as a kill can leave it."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def entry(task: Task) -> dict[str, object]:
    """Return one task's entry in the ledger."""
    sample, clip = task.sample, task.clip
    width, height = task.size
    return {
        "id": task.id,
        "model": task.request.model.slug,
        "account": task.account,
        "region": task.region,
        "host": task.host,
        "webhook_url": task.request.webhook_url,
        "created_at": instant(task.created_at),
        "finished_at": None if task.finished_at is None else instant(task.finished_at),
        "status": task.status,
        "details": task.details,
        "seed": task.seed,
        "format": task.request.output_format,
        "width": width,
        "height": height,
        "seconds": clip and clip.seconds,
        "audio": clip and clip.audio,
        "bytes": sample and sample.size,
        "sha256": sample and sample.sha256,
        "sample_url": sample and sample.url,
        "expires_at": sample and instant(sample.expires_at),
        "request": task.shown,
        "deliveries": task.deliveries,
        "polls": task.polls,
        "downloads": task.downloads[Role.SAMPLE],
        "artifacts": [
            _artifact(artifact, task.downloads[artifact.role]) for artifact in task.artifacts
        ],
    }


def _artifact(artifact: Artifact, downloads: int) -> dict[str, object]:
    """Return what the ledger shows of one file."""
    return {
        "role": artifact.role,
        "url": artifact.url,
        "content_type": artifact.content_type,
        "bytes": artifact.size,
        "sha256": artifact.sha256,
        "expires_at": instant(artifact.expires_at),
        "downloads": downloads,
    }
