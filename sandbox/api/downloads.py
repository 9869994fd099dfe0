"""Serves result files at their signed URLs, as Azure's blob storage does."""

import gzip
import secrets
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.api.ranges import Part, UnsatisfiableRangeError, asked_part
from sandbox.faults.behavior import Circumstances, DownloadPlan
from sandbox.faults.injection import FaultInjection
from sandbox.generation.generation import Generator
from sandbox.server.connections import Connections
from sandbox.server.file_response import FileResponse, Pacing
from sandbox.server.transmission import PIECES
from sandbox.tasks.hosts import Hosts
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.results import PIECE, Access, Artifact, Content, Signer
from sandbox.tasks.tasks import Task, TaskBook

#: Encoders of files; there is none for `br`, whose bytes are not valid here.
_ENCODERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: data[::-1],
}
HTML: Final = "<!DOCTYPE html><html><body><h1>Service temporarily unavailable</h1></body></html>"


@dataclass(frozen=True)
class Downloads:
    """The download route and its dependencies."""

    hosts: Hosts
    signer: Signer
    book: TaskBook
    ledger: Ledger
    generator: Generator
    faults: FaultInjection
    connections: Connections

    def routes(self) -> list[Route]:
        """Return the route; GET includes HEAD."""
        return [Route("/results/{token}/{name}", self.download)]

    async def download(self, request: Request) -> Response:
        """Send the file if the URL is valid and not expired."""
        now = time.time()
        access = self.signer.check(request.url.path, request.query_params, now)
        if access is not Access.GRANTED:
            reason = (
                "Signed expiry time has passed"
                if access is Access.EXPIRED
                else "Signature did not match"
            )
            return _storage_error(403, "AuthenticationFailed", reason)
        task = self.book.find_by_token(request.path_params["token"])
        role, _, _ = request.path_params["name"].partition(".")
        artifact = None if task is None else task.artifact(role)
        if task is None or artifact is None:
            return _storage_error(404, "BlobNotFound", "The specified blob does not exist.")
        where = Circumstances(
            self.hosts.asked(request),
            task.account,
            task.request.model.slug,
            task.request.prompt,
            task.id,
            role,
        )
        plan = self.faults.apply(DownloadPlan(), where)
        if plan.status != 200:  # noqa: PLR2004 - HTTP's OK
            return _storage_error(plan.status, "ServerBusy", "The server refuses this request.")
        hop = _hop(request)
        if plan.hops > hop:
            place = plan.elsewhere or str(request.url.include_query_params(hop=hop + 1))
            return Response(status_code=plan.redirect, headers={"location": place})
        if plan.html:
            return Response(HTML, media_type="text/html")
        return await self._file(request, task, artifact, plan)

    async def _file(
        self, request: Request, task: Task, artifact: Artifact, plan: DownloadPlan
    ) -> Response:
        content = await self.generator.content(task, artifact)
        headers = _headers(task, artifact, request, plan)
        if plan.encoding and not _no_transform_requested(plan.encoding, request):
            self.ledger.download(task, artifact.role, time.time())
            headers |= {"content-md5": artifact.md5, "content-encoding": plan.encoding}
            return Response(_ENCODERS[plan.encoding](content.whole()), headers=headers)
        if plan.flips:
            content = Content(_flipped(content.whole(), plan.flips))
        if plan.kept < 1:
            content = content.first(int(len(content) * plan.kept))
        try:
            part = _part(request, len(content), headers, plan)
        except UnsatisfiableRangeError:
            return _unsatisfiable(len(content))
        if part is not None:
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
            headers["x-ms-blob-content-md5"] = artifact.md5
        elif plan.kept == 1:
            headers["content-md5"] = artifact.md5
        is_true = not plan.flips and plan.kept == 1

        def completed() -> None:
            if is_true and (part is None or part.stop == len(content)):
                self.ledger.download(task, artifact.role, time.time())

        return self._sent(request, content, part, headers, plan=plan, completed=completed)

    def _sent(
        self,
        request: Request,
        content: Content,
        part: Part | None,
        headers: Mapping[str, str],
        *,
        plan: DownloadPlan,
        completed: Callable[[], None],
    ) -> Response:
        """Return the answer with the file or its part, sent as the plan says."""
        sent = part or Part(0, len(content))
        piece = min(PIECE, max(1, -(-sent.length // PIECES))) if plan.spread else PIECE
        limit = None if plan.fraction == 1 else int(sent.length * plan.fraction)
        if plan.cut_after is not None and plan.cut_after < sent.length:
            limit = plan.cut_after
        return FileResponse(
            content.pieces(sent.start, sent.stop, piece),
            200 if part is None else 206,
            {**headers, "content-length": str(sent.length)},
            pacing=Pacing(limit, plan.stall, plan.spread * piece / max(1, sent.length)),
            completed=completed,
            connections=self.connections,
            request=request,
        )


def _part(
    request: Request, length: int, headers: Mapping[str, str], plan: DownloadPlan
) -> Part | None:
    """Return the part to be sent; None for the whole file.

    Raises:
        UnsatisfiableRangeError: There is none.
    """
    if plan.ranges == "ignored" or request.method != "GET":
        return None
    part = asked_part(request.headers, length, headers["etag"], headers["last-modified"])
    if part is not None and plan.ranges == "refused":
        raise UnsatisfiableRangeError
    if part is not None and plan.ranges == "shifted":
        return Part(part.start // 2, part.stop)
    return part


def _hop(request: Request) -> int:
    """Return the number of redirects that led to this URL."""
    stated = request.query_params.get("hop", "")
    return int(stated) if stated.isdecimal() else 0


def _no_transform_requested(encoding: str, request: Request) -> bool:
    """Whether the request forbids transformations."""
    return encoding == "br" and "no-transform" in request.headers.get("cache-control", "")


def _flipped(data: bytes, flips: int) -> bytes:
    """Return the bytes with this many bits flipped, spread evenly."""
    wrong = bytearray(data)
    for number in range(flips):
        wrong[(2 * number + 1) * len(data) // (2 * flips)] ^= 1 << number % 8
    return bytes(wrong)


def _headers(
    task: Task, artifact: Artifact, request: Request, plan: DownloadPlan
) -> dict[str, str]:
    finished = task.finished_at or 0.0
    version = secrets.token_hex(8) if plan.ranges == "changed" else artifact.sha256[:16]
    return {
        "content-type": request.query_params["rsct"],
        "accept-ranges": "bytes",
        "etag": f'"0x{version.upper()}"',
        "last-modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(finished)),
    }


def _unsatisfiable(length: int) -> Response:
    """Return the answer to a range that cannot be sent."""
    text = "The range specified is invalid for the current size of the resource."
    refused = _storage_error(416, "InvalidRange", text)
    refused.headers["content-range"] = f"bytes */{length}"
    return refused


def _storage_error(status: int, code: str, message: str) -> Response:
    body = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return Response(body, status, {"x-ms-error-code": code}, media_type="application/xml")
