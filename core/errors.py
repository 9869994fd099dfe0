"""Errors, named by what the handler should do next.

* RelayError
  x Transient            retry later; `retry_after` seconds if the other side stated it
    + StoreUnavailable   Redis did not answer, or could not guarantee durability
    + StorageUnavailable S3 did not answer
  x Permanent            a retry cannot help; `code` says how the job ends
  x SettingsError        the process must not start
  x IdempotencyConflict  the same key came with another body
  x BacklogFull          the backlog has reached its limit
  x CannotSendAgain      the job or callback to retry is gone, or cannot be retried
"""

from collections.abc import Sequence

from core.jobs.failures import FailureCode


class RelayError(Exception):
    """Base class of all errors that this project raises on purpose."""


class Transient(RelayError):
    """A retry may succeed.

    Args:
        message: What happened, for the log; holds no secret.
        retry_after: Seconds to wait, if the other side stated it.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreUnavailable(Transient):
    """Redis is unreachable, or did not confirm that a write is on disk."""


class StorageUnavailable(Transient):
    """S3 is unreachable, or refuses for the moment."""


class Permanent(RelayError):
    """A retry cannot help.

    Args:
        code: How the job ends.
        message: What happened, for the job's caller; holds no secret.
    """

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class SettingsError(RelayError):
    """The settings are incomplete or invalid.

    Args:
        problems: All problems, one line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class IdempotencyConflict(RelayError):
    """An `Idempotency-Key` was used again with another body."""


class BacklogFull(RelayError):
    """The backlog has reached `FLUXRELAY_MAX_BACKLOG`; the job was not accepted."""


class CannotSendAgain(RelayError):
    """A job or its callback cannot be retried.

    Args:
        message: The reason, for the job's caller.
    """

    def __init__(self, message: str = "The job is no longer kept, or did not fail") -> None:
        super().__init__(message)
