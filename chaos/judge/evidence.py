"""What the judges' books say at the end of a run, and what the product claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.actors.callers import Intake
from chaos.plan.plan import PlannedJob

#: The statuses in which a job has ended.
TERMINAL = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class Thing:
    """One object of the bucket; `document` is its parsed JSON, where it is one."""

    size: int
    sha256: str
    document: Any = None


@dataclass(frozen=True)
class Told:
    """One callback that came in; the parts after `path` are None unless it was verified."""

    path: str
    verified: bool
    message_id: str | None = None
    job_id: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class Leftovers:
    """What still stands in Redis when all is over.

    Attributes:
        slots: Jobs that hold a slot.
        backlog: Jobs that wait for one.
        queued: RQ tasks in queues.
        intermediate: RQ tasks that a killed worker had popped, not put back yet.
        started: RQ tasks that count as running.
        homeless: RQ task records that stand in no list, and never expire.
        due: Due times of jobs, without those of `guards` and `letters`.
        guards: Job ids whose inputs will be deleted unless they are accepted.
        letters: Job ids that stand in the list of dead letters; their inputs are kept.
    """

    slots: tuple[str, ...] = ()
    backlog: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()
    intermediate: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    homeless: tuple[str, ...] = ()
    due: tuple[str, ...] = ()
    guards: frozenset[str] = frozenset()
    letters: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Evidence:
    """Everything that is judged.

    Attributes:
        jobs: What was planned.
        intakes: What each caller was told, by the job's number.
        views: Job id -> what the service shows of it; None where it knows no such job.
        tasks: The ledger's tasks.
        rejections: The ledger's refused submits by status.
        bucket: Key -> object.
        told: What came to the callers' receiver.
        baited: How often the picture that forged webhooks name was fetched.
        leftovers: What still stands in Redis.
        own_ends: Processes that ended though nobody killed them.
    """

    jobs: Sequence[PlannedJob]
    intakes: Sequence[Intake]
    views: Mapping[str, Mapping[str, Any] | None]
    tasks: Sequence[Mapping[str, Any]]
    rejections: Mapping[str, int]
    bucket: Mapping[str, Thing]
    told: Sequence[Told]
    baited: int = 0
    leftovers: Leftovers = field(default_factory=Leftovers)
    own_ends: Sequence[str] = ()
