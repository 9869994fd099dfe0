"""Creating and reading jobs."""

from typing import Final

from service.intake.limits import (
    DEADLINE_PATTERN,
    LONGEST_DEADLINE,
    SHORTEST_DEADLINE,
)
from service.openapi.operations import (
    BACKLOG_FULL,
    BAD_QUERY,
    IDEMPOTENCY_KEY,
    JOB_ID,
    NO_JOB,
    NO_KEY,
    STORES_AWAY,
    accepted,
    answer,
    json_of,
    operation,
    problems,
)
from service.openapi.paths.waiting import APPLIED, BUSY, PREFER, TOO_MANY, WAIT
from service.openapi.schemas import Json, reference

_TAG: Final = "Jobs"
_CANCEL_AFTER: Final[Json] = {
    "name": "Cancel-After",
    "in": "header",
    "description": f"Seconds, {SHORTEST_DEADLINE} to {LONGEST_DEADLINE}, after which the job fails "
    "as timed_out unless it has ended; in place of the field deadline.",
    "schema": {"type": "string", "pattern": f"^{DEADLINE_PATTERN}$"},
    "example": "600",
}


def paths(largest_body: int) -> Json:
    """Return the endpoints.

    Args:
        largest_body: Most bytes of a body.
    """
    return {
        "/v1/jobs": {"post": _create(largest_body)},
        "/v1/jobs/{job_id}": {"parameters": [JOB_ID], "get": _show()},
    }


def _create(largest_body: int) -> Json:
    return operation(
        "create_job",
        _TAG,
        "Create a job",
        "Checks the whole body, stores the job, and answers once it is on disk. The job then runs "
        "to its end, even if processes die in between. After a 503 or a broken connection it is "
        "unknown whether the job was accepted; with the same Idempotency-Key, repeating is safe.",
        accepted("The job is on disk and will be carried out."),
        answer(
            "200",
            "It ended within the seconds of Prefer: wait.",
            json_of(reference("Job")),
            {"Location": "Where it can be read.", **APPLIED},
        ),
        problems(
            ("400", "The body is not JSON, or the Idempotency-Key is not valid."),
            NO_KEY,
            ("408", "The body arrived too slowly."),
            ("413", f"The body is larger than {largest_body} bytes."),
            ("415", "The body has a Content-Encoding; send it uncompressed."),
            ("422", "Fields are invalid; all of them are named."),
            BACKLOG_FULL,
            STORES_AWAY,
        ),
        parameters=[IDEMPOTENCY_KEY, _CANCEL_AFTER, PREFER],
        body=json_of(reference("NewJob")),
    )


def _show() -> Json:
    return operation(
        "show_job",
        _TAG,
        "Show a job",
        "Returns the job with its status, its timeline, and its files once they are stored. "
        "Ended jobs are kept for a limited time.",
        answer("200", "The job.", json_of(reference("Job")), APPLIED),
        problems(NO_KEY, NO_JOB, BAD_QUERY, TOO_MANY, BUSY),
        parameters=[WAIT, PREFER],
    )
