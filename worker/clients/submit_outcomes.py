"""The outcomes of a submit, named by what follows for the job."""

from dataclasses import dataclass

from core.jobs.failures import FailureCode
from core.provider.wire_format import Submission


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider accepted the job."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider will never accept the job: it fails."""

    code: FailureCode
    message: str


@dataclass(frozen=True, slots=True)
class Busy:
    """All of the account's slots are taken (429): back to the front of the backlog."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class AccountRefused:
    """No credits (402) or a bad key (401, 403): the account pauses, the job keeps its place."""

    reason: str


@dataclass(frozen=True, slots=True)
class AcceptedWithoutId:
    """The provider accepted the job, but its answer has no task id: never to be sent again."""

    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The job did not reach the provider, or was refused unprocessed: it may be sent again."""

    message: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """It is unknown whether the job was accepted; repeating it at once could pay twice."""

    message: str


Outcome = Accepted | AcceptedWithoutId | Rejected | Busy | AccountRefused | NotSent | InDoubt
