"""Error answers, and the odd forms that faults may give to an answer."""

from typing import Final

#: Odd answers to an accepted submit: only the first three identify the task.
SHAPES: Final = ("number_id", "polling_url", "foreign_url", "nothing", "html", "list")
#: Formats of `Retry-After` (RFC 9110 section 10.2.3).
RETRY_FORMS: Final = ("seconds", "date")


class RefusedError(Exception):
    """The request gets an error answer; its body is FastAPI's `{"detail": …}`."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
