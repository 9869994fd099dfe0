"""The state machine of a job, the steps of its work, and how far its caller was told."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where a job stands; each comment says what it waits for."""

    QUEUED = "queued"  # a free slot
    SUBMITTING = "submitting"  # holds a slot; a worker is posting it, or died posting it
    GENERATING = "generating"  # the provider has it; its webhook, or a poll
    STORING = "storing"  # the result is known and its minutes run; the copy to S3
    SUCCEEDED = "succeeded"  # nothing, the image is in the bucket
    FAILED = "failed"  # nothing, `error` says why
    CANCELED = "canceled"  # nothing, the caller took it back


#: The whole state machine. `submitting -> storing` is real: the webhook may overtake the answer
#: to our own submit. `submitting -> queued` gives a job back that the provider had no room for;
#: `queued -> storing` is the late webhook of an earlier submit that was thought lost;
#: `storing -> queued` has a result made anew that died before it was stored, if its caller wants.
NEXT: Final[Mapping[Status, frozenset[Status]]] = {
    Status.QUEUED: frozenset({Status.SUBMITTING, Status.STORING, Status.FAILED, Status.CANCELED}),
    Status.SUBMITTING: frozenset(
        {Status.QUEUED, Status.GENERATING, Status.STORING, Status.FAILED, Status.CANCELED}
    ),
    Status.GENERATING: frozenset({Status.STORING, Status.FAILED}),
    Status.STORING: frozenset({Status.QUEUED, Status.SUCCEEDED, Status.FAILED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELED: frozenset(),
}
TERMINAL: Final = frozenset(status for status, after in NEXT.items() if not after)

#: While it stands here, the job is (or may be) active at the provider and holds a slot.
HOLDS_SLOT: Final = frozenset({Status.SUBMITTING, Status.GENERATING})


def predecessors(to: Status) -> frozenset[Status]:
    """Return the statuses from which a job may move to `to`."""
    return frozenset(status for status, after in NEXT.items() if to in after)


class Step(StrEnum):
    """What a worker does about a job; one function, one task name and one due time each."""

    SUBMIT = "submit"
    POLL = "poll"
    COLLECT = "collect"
    NOTIFY = "notify"
    CLEANUP = "cleanup"
    DEADLINE = "deadline"  # no task: `sweep` acts on it
    ACCOUNT = "account"  # about an account, not about a job


#: In which statuses a step still has something to do. A due time outside of them is stale.
STEP_STATUSES: Final[Mapping[Step, frozenset[Status]]] = {
    Step.SUBMIT: frozenset({Status.SUBMITTING}),
    Step.POLL: frozenset({Status.GENERATING}),
    Step.COLLECT: frozenset({Status.STORING}),
    Step.NOTIFY: TERMINAL,
    Step.CLEANUP: TERMINAL,
    Step.DEADLINE: frozenset({Status.QUEUED, Status.SUBMITTING, Status.GENERATING}),
    Step.ACCOUNT: frozenset(),
}


class CallbackState(StrEnum):
    """How far the caller has been told.

    Apart from `Status`, for a caller who is down does not make an image unfinished.
    """

    NONE = "none"  # the job has no callback
    WAITING = "waiting"  # the job has not ended yet
    PENDING = "pending"  # owed: being sent, or due again
    DELIVERED = "delivered"
    DEAD = "dead"  # given up
