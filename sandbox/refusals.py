"""Errors that a request is answered with, and the forms that faults may give an answer."""

from typing import Final

#: Ways to answer a submit that was taken: only the first three name the task.
SHAPES: Final = ("number_id", "polling_url", "foreign_url", "nothing", "html", "list")
#: How a `Retry-After` may be written (RFC 9110 section 10.2.3).
RETRY_FORMS: Final = ("seconds", "date")


class RefusedError(Exception):
    """A request is answered with an error; the body is FastAPI's `{"detail": …}`."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
