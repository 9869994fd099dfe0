"""`GET /v1/jobs/{id}/image` and `/artifacts/{role}`: lead to the files of a result."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from core.jobs.job import SAMPLE, Job
from core.jobs.status import Status
from core.storage.presigned_urls import LONGEST_LIFE
from service.files.stored_file import check_stored, send_file
from service.http.caller_values import shown
from service.http.problems import FieldError, Problem, invalid
from service.http.query_parameters import repeated, unknown
from service.intake.limits import FILE_NAME_PATTERN, LONGEST_FILE_NAME
from service.ownership import owned_job
from service.state import State

_PARAMETERS: Final = ("expires", "download")
_USUAL_LIFE: Final = 3600  # seconds
_NAME: Final = re.compile(FILE_NAME_PATTERN)
_FRESH: Final = {"cache-control": "no-store"}


async def send_image(request: Request[State]) -> Response:
    """Lead to the image or video itself."""
    return await _lead(request, SAMPLE)


async def send_artifact(request: Request[State]) -> Response:
    """Lead to the file of a role."""
    return await _lead(request, request.path_params["role"])


async def _lead(request: Request[State], role: str) -> Response:
    job = await owned_job(request)
    asked = link_query(request)
    return await lead(request, job.request.tenant, _artifact(job, role), *asked)


async def lead(
    request: Request[State],
    tenant: str,
    artifact: Mapping[str, Any],
    seconds: int,
    name: str | None,
) -> Response:
    """Redirect to a presigned URL of a stored file, or send it where presigning is off.

    Args:
        request: The request.
        tenant: Whose file it is.
        artifact: The file: `key`, `bytes`, `sha256` and `content_type`.
        seconds: How long the URL is valid.
        name: The name to save the file under.
    """
    state = request.state
    disposition = attachment(name) if name else None
    urls = state["presigned_urls"]
    if urls is None:
        await state["sample_threads"].run(check_stored, state, artifact)
        named = {"content-disposition": disposition} if disposition else {}
        headers = named | {"cache-control": "private, no-cache"}
        return await send_file(request, tenant, artifact, headers)
    url = await state["sample_threads"].run(
        urls.make, request.method, artifact["key"], seconds, disposition
    )
    return Response(status_code=HTTPStatus.FOUND, headers=_FRESH | {"location": url})


def attachment(name: str) -> str:
    """Return the `Content-Disposition` that saves a file under a name (RFC 6266).

    Old clients read `filename`, which has underscores for what is not plain ASCII.
    """
    plain = "".join(one if one.isascii() and one not in '"\\%' else "_" for one in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _artifact(job: Job, role: str) -> dict[str, Any]:
    """Return the stored file of a role.

    Raises:
        Problem: 409 if the job has no result, 404 if the result has no such file.
    """
    if job.status is not Status.SUCCEEDED:
        detail = f"The job is {job.status}; only a job that is succeeded has a result"
        raise Problem(HTTPStatus.CONFLICT, "no-result", detail)
    files = {str(artifact["role"]): dict(artifact) for artifact in job.artifacts}
    if role not in files:
        detail = f"The result has no file {shown(role)}; it has {', '.join(files)}"
        raise Problem(HTTPStatus.NOT_FOUND, "no-such-artifact", detail)
    return files[role]


def link_query(request: Request[State]) -> tuple[int, str | None]:
    """Return the life of the link in seconds, and the name to save the file under.

    Raises:
        Problem: 422, with everything that is wrong with the query.
    """
    query = request.query_params
    errors = [*unknown(query, _PARAMETERS), *repeated(query, _PARAMETERS)]
    life, name = query.get("expires", str(_USUAL_LIFE)), query.get("download")
    is_number = life.isascii() and life.isdigit() and len(life) <= len(str(LONGEST_LIFE))
    if not is_number or not 1 <= int(life) <= LONGEST_LIFE:
        allowed = f"a whole number of seconds from 1 to {LONGEST_LIFE}"
        errors.append(FieldError("query.expires", f"is {shown(life)}", allowed, f"send {allowed}"))
    if name is not None and not (_NAME.fullmatch(name) and len(name) <= LONGEST_FILE_NAME):
        allowed = f"a file name of 1 to {LONGEST_FILE_NAME} characters without / and \\"
        fix = "send such a name, or leave it out"
        errors.append(FieldError("query.download", f"is {shown(name)}", allowed, fix))
    if errors:
        raise invalid(errors)
    return int(life), name
