"""The evidence grouped by job: one case for each planned job."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from urllib.parse import unquote

from chaos.actors.callers import Intake
from chaos.judge.evidence import TERMINAL, Evidence, ReceivedCallback
from chaos.plan.plan import PlannedJob

#: Number for tasks that belong to no planned job.
NOBODY: Final = -1
#: Status of a job that its caller canceled.
CANCELED: Final = "canceled"
_READY: Final = "Ready"
_TOKEN: Final = re.compile(r"\[([0-9]{5})\]")


@dataclass(frozen=True)
class Case:
    """All evidence about one planned job."""

    job: PlannedJob
    intake: Intake
    job_id: str | None
    view: Mapping[str, Any] | None
    tasks: Sequence[Mapping[str, Any]]
    callbacks: Sequence[ReceivedCallback]

    @property
    def status(self) -> str:
        """The job's status according to the service."""
        return str(self.view["status"]) if self.view else "unknown"

    @property
    def end(self) -> str:
        """`succeeded`, the failure's code, or the status of a job that has not ended."""
        error = (self.view or {}).get("error")
        return str(error["code"]) if error and self.status == "failed" else self.status

    @property
    def lost_without_id(self) -> bool:
        """Whether it is lost because the provider gave no task id and no webhook came in time."""
        if self.end != "lost" or not self.job.unnamed:
            return False
        told = (d for task in self.tasks for d in task["deliveries"] if not d.get("forged"))
        ended_at = moment(str((self.view or {})["ended_at"]))
        return all(
            not str(d.get("status", "")).startswith("2") or moment(d["at"]) > ended_at for d in told
        )

    @property
    def as_planned(self) -> bool:
        """Whether it ended as its faults, or its cancel, explain."""
        canceled = self.job.cancel_after is not None and self.status == CANCELED
        return canceled or self.end == self.job.ends or self.lost_without_id

    @property
    def ended(self) -> bool:
        """Whether it has ended, according to the service."""
        return self.status in TERMINAL

    @property
    def resubmits(self) -> int:
        """Number of resubmits in doubt, according to the service."""
        return int(self.view["provider"]["resubmits"]) if self.view else 0

    @property
    def regenerations(self) -> int:
        """Number of regenerations of an expired result, according to the service."""
        return 1 if self.view and self.view["provider"].get("expired") else 0

    @property
    def discarded(self) -> bool:
        """Whether it ended before its task, according to the service."""
        return bool(self.view and self.view["provider"].get("discarded"))

    @property
    def artifacts(self) -> Sequence[Mapping[str, Any]]:
        """The stored files of its result, according to the service; the image or video first."""
        return tuple((self.view or {}).get("artifacts") or ())

    @property
    def made(self) -> Sequence[Mapping[str, Mapping[str, Any]]]:
        """The files of each of its tasks that is ready, by role."""
        ready = (task for task in self.tasks if task["status"] == _READY)
        return tuple({str(file["role"]): file for file in task["artifacts"]} for task in ready)


@dataclass(frozen=True)
class EvidenceByJob:
    """The evidence, grouped by job.

    Args:
        evidence: The evidence.
    """

    evidence: Evidence

    @cached_property
    def tasks(self) -> Mapping[int, list[Mapping[str, Any]]]:
        """The ledger's tasks by the token that the product does not know."""
        tasks: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for task in sorted(self.evidence.tasks, key=lambda task: str(task["created_at"])):
            tasks[_number_of(task["request"])].append(task)
        return tasks

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The case of every planned job."""
        told = defaultdict(list)
        for callback in self.evidence.callbacks:
            told[callback.job_id].append(callback)
        cases = []
        for job, intake in zip(self.evidence.jobs, self.evidence.intakes, strict=True):
            job_id = intake.ids[0] if intake.ids else None
            view = self.evidence.views.get(job_id) if job_id else None
            mine = told[job_id] if job_id else []
            cases.append(Case(job, intake, job_id, view, self.tasks.get(job.number, []), mine))
        return tuple(cases)


def _number_of(request: Mapping[str, Any]) -> int:
    """Return the number of the job that a request is of, by its prompt or its bundle's URL."""
    text = str(request.get("prompt") or request.get("draft_cache") or "")
    found = _TOKEN.search(unquote(text))
    return int(found[1]) if found else NOBODY


def moment(text: str) -> float:
    """Return the Unix time of an ISO 8601 timestamp."""
    return datetime.fromisoformat(text).timestamp()
