"""`GET /v1/samples/{name}`: streams a job's result from our bucket to anyone with its signed link.

The link needs no header and is valid as long as the job's record.
"""

from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from core.jobs.drop_in_views import file_name
from core.jobs.job import JobId
from core.security.signatures import is_sample_signature
from service.drop_in.errors import with_provider_errors
from service.files.stored_file import check_stored, missing, send_file
from service.http.problems import Problem
from service.http.query_parameters import only_value
from service.state import State

_CACHED: Final = {"cache-control": "private, max-age=3600"}


@with_provider_errors
async def send_sample(request: Request[State]) -> Response:
    """Verify the link before any lookup, then send the file or the requested range."""
    name = request.path_params["name"]
    subject = name.rpartition(".")[0]
    masters = [master.reveal() for master in request.state["settings"].webhook_secrets]
    presented = (only_value(request.query_params, "sig") or "").encode(errors="replace")
    if not is_sample_signature(masters, subject, presented):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "wrong-signature",
            "The link's signature is invalid; ask get_result for a new link",
        )
    tenant, file = await request.state["sample_threads"].run(_find, request.state, name)
    return await send_file(request, tenant, file, _CACHED)


def _find(state: State, name: str) -> tuple[str, dict[str, Any]]:
    """Return whose file it is, and the file; raises a `Problem` unless the bucket holds it."""
    job = state["store"].load(JobId(name.partition(".")[0]))
    files = {file_name(job, artifact): artifact for artifact in job.artifacts} if job else {}
    if job is None or name not in files:
        raise missing("There is no such file, or its job's record has expired")
    file = dict(files[name])
    check_stored(state, file)
    return job.request.tenant, file
