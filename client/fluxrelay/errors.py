"""Everything that the client raises, below one class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxrelay.types.batches import Batch
    from fluxrelay.types.jobs import Job

_LONGEST_EXCERPT = 200
_MOST_COMPLAINTS = 5  # that an error's text names; all are in `errors`
_MEMBERS = frozenset({"type", "title", "status", "detail", "errors"})


class FluxRelayError(Exception):
    """Something went wrong between the caller and FluxRelay."""


class ConfigurationError(FluxRelayError):
    """The client has no address, or no key."""


class InvalidArgumentError(FluxRelayError, ValueError):
    """An id or an idempotency key that cannot be sent; nothing was."""


class UnreachableError(FluxRelayError):
    """No complete answer came: no connection, a broken one, or none in time.

    Args:
        detail: what happened.
        sent: whether (a part of) the request may have reached the service.
        idempotency_key: the request's key; with it, the request can be repeated safely.
    """

    def __init__(self, detail: str, *, sent: bool, idempotency_key: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.sent = sent
        self.idempotency_key = idempotency_key


class UnexpectedAnswerError(FluxRelayError):
    """An answer that FluxRelay does not give; perhaps something else listens at the address."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.content = content
        super().__init__(f"the answer ({status}) is not FluxRelay's: {excerpt(content)}")


class WaitTimeoutError(FluxRelayError):
    """A job or batch has not ended in the time that the caller gave. `last` is how it stood."""

    def __init__(self, last: Job | Batch, seconds: float) -> None:
        super().__init__(f"{last.id} is still {last.status} after {seconds:g} s")
        self.last = last


class JobFailedError(FluxRelayError):
    """A job ended without a result. `job.error` says why."""

    def __init__(self, job: Job) -> None:
        why = f"{job.error.code}: {job.error.message}" if job.error else f"it is {job.status}"
        super().__init__(f"job {job.id} has no result; {why}")
        self.job = job


class CorruptFileError(FluxRelayError):
    """A downloaded file is not the one that was stored: its SHA-256 differs."""


class CallbackVerificationError(FluxRelayError):
    """A callback is not from FluxRelay, or it is too old. Answer it with 401."""


class ProblemError(FluxRelayError):
    """The service refused a request, or could not carry it out.

    Args:
        status: the HTTP status.
        raw: the problem document.
        retry_after: seconds after which the service asked to be called again, if it did.
        idempotency_key: the request's key; with it, the request can be repeated safely.
    """

    def __init__(
        self,
        status: int,
        raw: Mapping[str, Any],
        *,
        retry_after: float | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        self.status = status
        self.raw = dict(raw)
        #: The last part of the problem's type, such as `no-such-job`.
        self.type = str(raw.get("type") or "").rpartition(":")[2]
        self.title = str(raw.get("title") or "")
        self.detail = str(raw.get("detail") or self.title or f"status {status}")
        errors = raw.get("errors")
        #: What is wrong with the fields: `field`, `detail`, `allowed`, `fix` of each.
        self.errors: tuple[Mapping[str, Any], ...] = (
            tuple(e for e in errors if isinstance(e, dict)) if isinstance(errors, list) else ()
        )
        #: Further members of the problem document.
        self.extra = {name: value for name, value in raw.items() if name not in _MEMBERS}
        self.retry_after = retry_after
        self.idempotency_key = idempotency_key
        super().__init__(self._text())

    def _text(self) -> str:
        text = f"{self.detail} ({self.status} {self.type})" if self.type else self.detail
        named = [complaint(one) for one in self.errors if one.get("field")]
        if len(named) == 1:
            return f"{text}: {named[0]}"
        more = len(named) - _MOST_COMPLAINTS
        rest = [f"and {more} more"] if more > 0 else []
        return "\n  ".join([text, *named[:_MOST_COMPLAINTS], *rest])


class BadRequestError(ProblemError):
    """The request is not one that the service understands (400, 405, 408, 413, 415, ...)."""


class AuthenticationError(ProblemError):
    """The key is missing or wrong (401, 403)."""


class NotFoundError(ProblemError):
    """There is no such job, batch or path (404)."""


class ConflictError(ProblemError):
    """The job's state does not allow the request (409)."""


class ConfirmMismatchError(ConflictError):
    """Another number of jobs matches than was confirmed; nothing was canceled."""

    @property
    def count(self) -> int | None:
        """Return the number of matching jobs that can be canceled."""
        count = self.extra.get("count")
        return count if isinstance(count, int) else None


class RejectedError(ProblemError):
    """The content of the request is not acceptable (422)."""


class InvalidFieldsError(RejectedError):
    """Fields are invalid; `errors` names them all."""


class InvalidItemsError(RejectedError):
    """Items of a batch are invalid; `errors` names them with their `line` and `custom_id`."""

    @property
    def total(self) -> int:
        """Return the number of complaints, of which `errors` holds the first thousand."""
        total = self.extra.get("total")
        return total if isinstance(total, int) else len(self.errors)


class IdempotencyConflictError(RejectedError):
    """The idempotency key was used with another body."""


class TooManyRequestsError(ProblemError):
    """The backlog is full (429); `retry_after` says when to call again."""


class UnavailableError(ProblemError):
    """The service, or what it stands on, is unavailable for now (502, 503, 504)."""


class ServerError(ProblemError):
    """An error within the service (other statuses from 500)."""


_BY_TYPE: dict[str, type[ProblemError]] = {
    "confirm-mismatch": ConfirmMismatchError,
    "invalid-fields": InvalidFieldsError,
    "invalid-items": InvalidItemsError,
    "idempotency-conflict": IdempotencyConflictError,
}
_BY_STATUS: dict[int, type[ProblemError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
    422: RejectedError,
    429: TooManyRequestsError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}
_SERVERS_FAULT = 500


def problem(
    status: int, content: bytes, *, retry_after: float | None, idempotency_key: str | None
) -> ProblemError:
    """Return the error that an answer of status 400 or more stands for."""
    try:
        raw = json.loads(content)
    except ValueError:
        raw = None
    if not isinstance(raw, dict):  # of a proxy in front of the service
        raw = {"detail": f"status {status}: {excerpt(content)}" if content else f"status {status}"}
    otherwise = ServerError if status >= _SERVERS_FAULT else BadRequestError
    kind = str(raw.get("type") or "").rpartition(":")[2]
    error = _BY_TYPE.get(kind) or _BY_STATUS.get(status, otherwise)
    return error(status, raw, retry_after=retry_after, idempotency_key=idempotency_key)


def complaint(entry: Mapping[str, Any]) -> str:
    """Return one of `ProblemError.errors` in words: where, what is wrong, and how to mend it."""
    line, item = entry.get("line"), entry.get("custom_id")
    places = [f"line {line}"] * (line is not None) + [str(item)] * (item is not None)
    place = f"{', '.join(places)}: " if places else ""
    allowed, fix = str(entry.get("allowed") or ""), str(entry.get("fix") or "")
    told = f", allowed: {allowed}" if allowed and allowed not in fix else ""
    mend = f"; {fix}" if fix else ""
    subject = f"{entry['field']} " if entry.get("field") else ""
    return f"{place}{subject}{entry.get('detail', '')}{told}{mend}"


def excerpt(content: bytes) -> str:
    """Return the beginning of a content, for a message."""
    text = content[: _LONGEST_EXCERPT * 4].decode("utf-8", "replace").strip()
    return text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]}..."
