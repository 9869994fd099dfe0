"""What is wrong with single items of a batch, and the problem document that lists it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import JSONResponse

from service.http.problems import FieldError, JsonAnswer, Problem

#: Most complaints that an answer lists.
MOST_LISTED: Final = 1000
#: What errors call an item of NDJSON whose text cannot be read.
LINE: Final = "The line"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One problem with one field of one item."""

    #: The item's line, or its position in the array; from 1.
    line: int
    #: None if it has none that can be shown.
    custom_id: str | None
    error: FieldError

    def view(self) -> dict[str, Any]:
        """Return the complaint as an answer lists it."""
        return {"line": self.line, "custom_id": self.custom_id, **asdict(self.error)}


@dataclass(slots=True)
class Complaints:
    """Counts what is wrong, and keeps as much as an answer lists."""

    total: int = 0
    listed: list[Complaint] = field(default_factory=list)

    def add(self, line: int, custom_id: str | None, errors: Iterable[FieldError]) -> None:
        """Add what is wrong with one item."""
        for error in errors:
            self.total += 1
            if len(self.listed) < MOST_LISTED:
                self.listed.append(Complaint(line, custom_id, error))

    def view(self) -> list[dict[str, Any]]:
        """Return the list."""
        return [one.view() for one in self.listed]


class InvalidItems(Problem):
    """A batch with bad items, of which nothing was accepted.

    Args:
        complaints: What is wrong with them.
        detail: What it means for the batch.
    """

    def __init__(self, complaints: Complaints, detail: str) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-items", detail)
        self._complaints = complaints

    def response(self) -> JSONResponse:
        """Return the document as a response."""
        document = {
            "type": f"urn:fluxrelay:problem:{self.kind}",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "errors": self._complaints.view(),
            "total": self._complaints.total,
        }
        return JsonAnswer(document, self.status.value, media_type="application/problem+json")


def errors_of(problem: Problem) -> Sequence[FieldError]:
    """Return a problem with the text of a line as errors about its item."""
    if problem.errors:
        return problem.errors
    detail, allowed = problem.detail.removeprefix(f"{LINE} "), "one JSON object per line"
    fix = "correct the line; curl keeps line breaks with --data-binary, not with -d"
    return [FieldError("item", detail, allowed, fix)]
