"""Links to the files of a result."""

from typing import Final

from core.jobs.job import SAMPLE
from core.storage.presigned_urls import LONGEST_LIFE
from service.intake.limits import FILE_NAME_PATTERN, LONGEST_FILE_NAME
from service.openapi.operations import (
    BAD_QUERY,
    JOB_ID,
    NO_KEY,
    STORES_AWAY,
    answer,
    operation,
    problems,
    query,
)
from service.openapi.schemas import TEXT, Json

_TAG: Final = "Results"
_ROLE: Final[Json] = {
    "name": "role",
    "in": "path",
    "required": True,
    "description": "The file's role, from the job's artifacts.",
    "schema": TEXT,
    "example": SAMPLE,
}
_PROBLEMS: Final = (
    NO_KEY,
    ("404", "No such job, not yours, or its result has no such file."),
    ("409", "The job has no result, or its file was moved to an archive."),
    BAD_QUERY,
    STORES_AWAY,
)


def paths() -> Json:
    """Return the endpoints."""
    return {
        "/v1/jobs/{job_id}/image": {
            "parameters": [JOB_ID],
            "get": _link("send_image", "Get the image or video", "the image or video itself"),
            "head": head("head_image", _TAG, "the image or video", *_PROBLEMS),
        },
        "/v1/jobs/{job_id}/artifacts/{role}": {
            "parameters": [JOB_ID, _ROLE],
            "get": _link("send_artifact", "Get a file of the result", "the file of this role"),
            "head": head("head_artifact", _TAG, "a file of the result", *_PROBLEMS),
        },
    }


def _link(operation_id: str, summary: str, what: str) -> Json:
    file = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    return operation(
        operation_id,
        _TAG,
        summary,
        f"Leads to {what}, by a presigned URL of the bucket. That URL needs no key: whoever has it "
        "can read the file until it expires. A deployment may send the file itself instead.",
        answer("302", "Follow Location.", None, {"Location": "The presigned URL."}),
        answer("200", "The file, where the deployment makes no presigned URLs.", file),
        problems(*_PROBLEMS),
        parameters=link_parameters(),
    )


def head(operation_id: str, tag: str, what: str, *errors: tuple[str, str]) -> Json:
    """Return the operation that asks for headers alone; errors have no body either.

    Args:
        operation_id: Its name.
        tag: The group that it is shown in.
        what: What it is about.
        errors: The statuses of problems and what they mean.
    """
    return operation(
        operation_id,
        tag,
        f"Ask about {what}",
        "As the GET, but without a body: the presigned URL is one for a HEAD, which tells size and "
        "type of the file.",
        answer("302", "Follow Location.", None, {"Location": "The presigned URL."}),
        answer("200", "The file's headers, where the deployment makes no presigned URLs.", None),
        *(answer(status, words, None) for status, words in errors),
        parameters=link_parameters(),
    )


def link_parameters() -> list[Json]:
    """Return the parameters of what leads to a file."""
    life = {"type": "integer", "minimum": 1, "maximum": LONGEST_LIFE}
    name = {"type": "string", "pattern": f"^{FILE_NAME_PATTERN}$", "maxLength": LONGEST_FILE_NAME}
    return [
        query("expires", life, "Seconds for which the link is valid. Default 3600."),
        query(
            "download", name, "Name under which a browser saves the file. Without it, it is shown."
        ),
    ]
