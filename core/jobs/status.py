"""The state machine of jobs: statuses, allowed moves, and the steps of each status."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Status of a job; each comment says what the job waits for."""

    QUEUED = "queued"  # a free slot
    SUBMITTING = "submitting"  # holds a slot; a worker is posting it, or died while posting
    GENERATING = "generating"  # the provider has it; its webhook, or a poll
    STORING = "storing"  # the result link is known and will expire; the copy to S3
    SUCCEEDED = "succeeded"  # nothing, the image is in the bucket
    FAILED = "failed"  # nothing, `error` says why
    CANCELED = "canceled"  # nothing, though its task may still run (`Job.discarding`)


#: The state machine. `submitting -> storing`: the webhook can overtake the reply to our submit.
#: `submitting -> queued`: the provider was full. `queued -> storing`: a late webhook of a submit
#: believed lost. `storing -> queued`: the result link expired before the image was stored, and the
#: caller wants it regenerated.
NEXT: Final[Mapping[Status, frozenset[Status]]] = {
    Status.QUEUED: frozenset({Status.SUBMITTING, Status.STORING, Status.FAILED, Status.CANCELED}),
    Status.SUBMITTING: frozenset(
        {Status.QUEUED, Status.GENERATING, Status.STORING, Status.FAILED, Status.CANCELED}
    ),
    Status.GENERATING: frozenset({Status.STORING, Status.FAILED, Status.CANCELED}),
    Status.STORING: frozenset({Status.QUEUED, Status.SUCCEEDED, Status.FAILED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
}
TERMINAL: Final = frozenset(status for status, after in NEXT.items() if not after)

#: In these statuses the job is (or may be) active at the provider and holds a slot.
HOLDS_SLOT: Final = frozenset({Status.SUBMITTING, Status.GENERATING})


def predecessors(to: Status) -> frozenset[Status]:
    """Return the statuses from which a job may move to `to`."""
    return frozenset(status for status, after in NEXT.items() if to in after)


class Step(StrEnum):
    """A unit of work on a job; each has one function, one task name and one due time."""

    SUBMIT = "submit"
    POLL = "poll"
    COLLECT = "collect"
    TEST_CALLBACK = "test_callback"  # about no job: sends a sample event
    PROGRESS = "progress"  # tells the caller that the job is generating
    NOTIFY = "notify"
    CLEANUP = "cleanup"
    DEADLINE = "deadline"  # no task: `sweep` acts on it
    ACCOUNT = "account"  # about an account, not about a job
    RESULTS = "results"  # about a batch: writes its results file
    ANNOUNCE = "announce"  # about a batch: sends its callback


#: Statuses in which a step has work to do. In any other status its due time is stale.
STEP_STATUSES: Final[Mapping[Step, frozenset[Status]]] = {
    Step.SUBMIT: frozenset({Status.SUBMITTING}),
    Step.POLL: frozenset({Status.GENERATING}),
    Step.COLLECT: frozenset({Status.STORING}),
    Step.TEST_CALLBACK: frozenset(),
    Step.PROGRESS: frozenset({Status.GENERATING, Status.STORING}),
    Step.NOTIFY: TERMINAL,
    Step.CLEANUP: TERMINAL,
    Step.DEADLINE: frozenset({Status.QUEUED, Status.SUBMITTING, Status.GENERATING}),
    Step.ACCOUNT: frozenset(),
    Step.RESULTS: frozenset(),
    Step.ANNOUNCE: frozenset(),
}


class CallbackState(StrEnum):
    """Delivery state of the caller's callback.

    It is separate from `Status`: a receiver that is down does not make an image unfinished.
    """

    NONE = "none"  # the job has no callback
    WAITING = "waiting"  # the job has not ended yet
    PENDING = "pending"  # being sent, or due for a retry
    DELIVERED = "delivered"
    DEAD = "dead"  # given up
