"""Hands out finished pictures at their signed addresses, as Azure's blob storage does."""

import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sandbox.connections import Connections
from sandbox.generation import Studio
from sandbox.ledger import Ledger
from sandbox.mischief import Mischief
from sandbox.plans import DownloadPlan
from sandbox.results import Access
from sandbox.tasks import Sample, Task, TaskBook

HTML = "<!DOCTYPE html><html><body><h1>Service temporarily unavailable</h1></body></html>"


@dataclass(frozen=True)
class Downloads:
    """The route of the pictures and what it works with."""

    book: TaskBook
    ledger: Ledger
    studio: Studio
    mischief: Mischief
    connections: Connections

    def routes(self) -> list[Route]:
        """Return the one route; GET brings HEAD along."""
        return [Route("/results/{token}/{name}", self.download)]

    async def download(self, request: Request) -> Response:
        """Send the picture if the address is ours and alive."""
        now = time.time()
        access = self.studio.check_url(request.url.path, request.query_params, now)
        task = self.book.find_by_token(request.path_params["token"])
        if access is not Access.GRANTED:
            reason = (
                "Signed expiry time has passed"
                if access is Access.EXPIRED
                else "Signature did not match"
            )
            return _storage_error(403, "AuthenticationFailed", reason)
        if task is None or task.sample is None:
            return _storage_error(404, "BlobNotFound", "The specified blob does not exist.")
        plan = self.mischief.apply(DownloadPlan(), task.request.prompt)
        if plan.status != 200:  # noqa: PLR2004 - HTTP's OK
            return _storage_error(plan.status, "ServerBusy", "The server refuses this request.")
        if plan.html:
            return Response(HTML, media_type="text/html")
        data = await self.studio.picture(task)
        if plan.fraction < 1:
            part = data[: int(len(data) * plan.fraction)]
            return _BrokenResponse(part, len(data), self.connections, request)
        if request.method == "GET":
            self.ledger.download(task, now)
        return Response(data, headers=_headers(task, task.sample, request))


class _BrokenResponse(Response):
    """Announces the whole length, sends a part, and breaks the connection."""

    def __init__(
        self, part: bytes, length: int, connections: Connections, request: Request
    ) -> None:
        content_type = request.query_params["rsct"]
        headers = {"content-length": str(length), "content-type": content_type}
        super().__init__(part, headers=headers)
        self._connections = connections
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send what is to be sent, then cut."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await self._connections.cut(self._request)


def _headers(task: Task, sample: Sample, request: Request) -> dict[str, str]:
    finished = task.finished_at or 0.0
    return {
        "content-type": request.query_params["rsct"],
        "etag": f'"0x{sample.sha256[:16].upper()}"',
        "last-modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(finished)),
    }


def _storage_error(status: int, code: str, message: str) -> Response:
    body = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return Response(body, status, {"x-ms-error-code": code}, media_type="application/xml")
