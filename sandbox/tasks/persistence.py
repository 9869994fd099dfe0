"""Persists tasks across restarts: what the ledger's file holds of each, and how it is read back."""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandbox.requests.clips import Clip
from sandbox.requests.models import MODELS
from sandbox.requests.validation import Request
from sandbox.statuses import Ending, Status
from sandbox.tasks.results import Artifact, Role
from sandbox.tasks.tasks import Task, TaskBook

#: Secret fields of a request, which are never written to a file.
SECRETS = frozenset({"webhook_secret"})

log = logging.getLogger(__name__)


def persisted_fields(task: Task) -> dict[str, object]:
    """Return what a later process needs to resume the task, without secrets and files."""
    fields = task.request.values.items()
    clip, ending = task.clip, task.ending
    return {
        "number": task.number,
        "values": {name: value for name, value in fields if name not in SECRETS},
        "created_at": task.created_at,
        "finished_at": task.finished_at,
        "generation_seconds": task.generation_seconds,
        "input_mp": task.input_mp,
        "staged": task.staged,
        "detail_side": task.detail_side,
        "pictures": task.pictures,
        "padding": task.padding,
        "file_bytes": task.file_bytes,
        "clip": clip and asdict(clip),
        "ending": ending and {"status": ending.status, "details": ending.details},
        "artifacts": [asdict(artifact) for artifact in task.artifacts],
    }


@dataclass
class History:
    """The events of earlier processes, as recorded in the file."""

    rejections: Counter[str] = field(default_factory=Counter)
    #: The total granted to each account when its credits were last set.
    credits: dict[str, float] = field(default_factory=dict)


def restore(path: Path | None, book: TaskBook) -> History:
    """Add the tasks of earlier processes to the book; active ones are resumed.

    Raises:
        OSError: The file exists and cannot be read.
    """
    history = History()
    if path is None or not path.exists():
        return history
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                _replay(json.loads(line), book, history)
            except (ValueError, KeyError, TypeError, AttributeError):
                # For example the last line of a killed process, or a line of another version.
                log.warning("ledger line=%d cannot be read", number)
    return history


def _replay(event: Mapping[str, Any], book: TaskBook, history: History) -> None:
    kind = event["event"]
    if kind == "created":
        book.add(_task(event["task"], event["kept"]))
    elif kind == "rejected":
        history.rejections[str(event["status"])] += 1
    elif kind == "credited":
        account = event["account"]
        history.credits[account] = event["left"] + book.charged[account]
    elif kind in {"finished", "delivery", "download"}:
        _continue(kind, event, book)


def _continue(kind: str, event: Mapping[str, Any], book: TaskBook) -> None:
    task = book.find(event["task"]["id"] if kind == "finished" else event["id"])
    if task is None:
        raise KeyError(kind)
    if kind == "delivery":
        task.deliveries.append(event["delivery"])
    elif kind == "download":
        task.downloads[event["role"]] += 1
    else:
        _finish(task, event["task"], event["kept"], book)


def _finish(task: Task, page: Mapping[str, Any], facts: Mapping[str, Any], book: TaskBook) -> None:
    task.details = page["details"]
    task.artifacts = tuple(
        Artifact(**{**stored, "role": Role(stored["role"])}) for stored in facts["artifacts"]
    )
    book.finish(task, Status(page["status"]), facts["finished_at"])


def _task(page: Mapping[str, Any], facts: Mapping[str, Any]) -> Task:
    ending = facts["ending"]
    return Task(
        id=page["id"],
        number=facts["number"],
        account=page["account"],
        request=Request(MODELS[page["model"]], facts["values"], {}),
        shown=page["request"],
        seed=page["seed"],
        size=(page["width"], page["height"]),
        generation_seconds=facts["generation_seconds"],
        created_at=facts["created_at"],
        region=page["region"],
        host=page["host"],
        input_mp=facts["input_mp"],
        ending=ending and Ending(Status(ending["status"]), ending["details"]),
        staged=facts["staged"],
        detail_side=facts["detail_side"],
        pictures=facts["pictures"],
        padding=facts["padding"],
        file_bytes=facts["file_bytes"],
        clip=facts["clip"] and Clip(**facts["clip"]),
        muted=True,
    )
