"""What can come of a submit, named by what follows for the job."""

from dataclasses import dataclass

from core.jobs.failures import FailureCode
from core.provider.wire_format import Submission


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider will never take it: the job fails."""

    code: FailureCode
    message: str


@dataclass(frozen=True, slots=True)
class Busy:
    """All of the account's slots are taken (429): back to the front of the backlog."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class AccountRefused:
    """No credits (402) or a bad key (401, 403): the account rests, the job keeps its place."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unnamed:
    """The provider has it, but nothing in its answer names the task: never to be sent again."""

    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """It never reached the provider, or was turned away untouched: it may be sent again."""

    message: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Nobody knows whether it was accepted; repeating it at once could pay twice."""

    message: str


Outcome = Accepted | Unnamed | Rejected | Busy | AccountRefused | NotSent | InDoubt
