"""The evidence at the end of a run: independent records, and what the product claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.actors.batch_callers import BatchIntake
from chaos.actors.callers import Intake
from chaos.plan.plan import PlannedBatch, PlannedJob

#: Final statuses.
TERMINAL = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class BucketObject:
    """One object of the bucket; `document` is its parsed JSON, if it is JSON."""

    size: int
    sha256: str
    document: Any = None


@dataclass(frozen=True)
class ReceivedCallback:
    """One received callback; the fields after `path` are None unless its signature was valid."""

    path: str
    verified: bool
    message_id: str | None = None
    job_id: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class BatchEvidence:
    """What was planned of a batch, and what its caller was told."""

    planned: PlannedBatch
    intake: BatchIntake

    @property
    def path(self) -> str:
        """The path of its callback."""
        return f"/callbacks/batch-{self.planned.number}"


@dataclass(frozen=True)
class Leftovers:
    """What is left in Redis after the run.

    Attributes:
        slots: Jobs that hold a slot.
        backlog: Jobs that wait for one.
        queued: RQ tasks in queues.
        intermediate: RQ tasks that a killed worker had popped, and that are not requeued yet.
        started: RQ tasks that RQ counts as running.
        orphaned: RQ task records that are in no list and never expire.
        due: Due times of jobs, without those of `guards` and `letters`.
        guards: Job ids whose inputs will be deleted unless they are accepted.
        letters: Job ids in the list of dead letters; their inputs are kept.
    """

    slots: tuple[str, ...] = ()
    backlog: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()
    intermediate: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()
    due: tuple[str, ...] = ()
    guards: frozenset[str] = frozenset()
    letters: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Evidence:
    """Everything that is judged.

    Attributes:
        jobs: The planned jobs.
        intakes: The answers of each caller, by the job's number.
        views: Job id -> the service's view; None if it does not know the job.
        tasks: The ledger's tasks.
        rejections: The ledger's refused submits by status.
        bucket: Key -> object.
        callbacks: The callbacks about jobs that the callers' receiver got.
        batches: What was planned of each batch, and what its caller was told.
        batch_callbacks: The callbacks about batches; their `job_id` is the batch's id.
        decoy_requests: Number of requests for the decoy image.
        leftovers: What is left in Redis.
        unexpected_exits: Processes that exited without being killed.
        listed: Ids and statuses on all pages of the service's list of jobs; None: it was not read.
        unfinished_uploads: Keys of uploads in parts that are neither completed nor aborted.
    """

    jobs: Sequence[PlannedJob]
    intakes: Sequence[Intake]
    views: Mapping[str, Mapping[str, Any] | None]
    tasks: Sequence[Mapping[str, Any]]
    rejections: Mapping[str, int]
    bucket: Mapping[str, BucketObject]
    callbacks: Sequence[ReceivedCallback]
    decoy_requests: int = 0
    leftovers: Leftovers = field(default_factory=Leftovers)
    unexpected_exits: Sequence[str] = ()
    listed: Sequence[tuple[str, str]] | None = None
    unfinished_uploads: Sequence[str] = ()
    batches: Sequence[BatchEvidence] = ()
    batch_callbacks: Sequence[ReceivedCallback] = ()
