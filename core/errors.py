"""Errors, named by what whoever catches them does next.

* RelayError
  x Transient            try again later; `retry_after` seconds, where the other side said
    + StoreUnavailable   Redis did not answer, or could not promise durability
    + StorageUnavailable S3 did not answer
  x Permanent            trying again cannot help; `code` says how the job ends
  x SettingsError        the process must not start
  x IdempotencyConflict  the same key came with another body
  x BacklogFull          as many jobs wait as may
  x CannotSendAgain      what is to be sent again is not there, or not to be sent
"""

from collections.abc import Sequence

from core.jobs.failures import FailureCode


class RelayError(Exception):
    """The root of all errors that this project raises on purpose."""


class Transient(RelayError):
    """It may go well later.

    Args:
        message: What happened, for the log; holds no secret.
        retry_after: Seconds to wait, where the other side asked for it.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreUnavailable(Transient):
    """Redis is away, or did not confirm that a write is on disk."""


class StorageUnavailable(Transient):
    """S3 is away or refuses for the moment."""


class Permanent(RelayError):
    """Trying again cannot help.

    Args:
        code: How the job ends.
        message: What happened, in words for the job's caller; holds no secret.
    """

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class SettingsError(RelayError):
    """The settings are incomplete or wrong.

    Args:
        problems: All of them, one line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class IdempotencyConflict(RelayError):
    """An `Idempotency-Key` came again with another body."""


class BacklogFull(RelayError):
    """As many jobs wait as `FLUXRELAY_MAX_BACKLOG` allows; nothing was accepted."""


class CannotSendAgain(RelayError):
    """A job, or its callback, is not to be sent again.

    Args:
        message: Why, in words for the job's caller.
    """

    def __init__(self, message: str = "The job is not kept any more, or did not fail") -> None:
        super().__init__(message)
