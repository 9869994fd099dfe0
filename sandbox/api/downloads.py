"""Serves finished images at their signed URLs, as Azure's blob storage does."""

import base64
import gzip
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import md5

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.faults.behavior import Circumstances, DownloadPlan
from sandbox.faults.injection import FaultInjection
from sandbox.generation.generation import Generator
from sandbox.server.connections import Connections
from sandbox.server.transmission import BrokenResponse, TricklingResponse
from sandbox.tasks.hosts import Hosts
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.results import Access, Signer
from sandbox.tasks.tasks import Sample, Task, TaskBook

#: Encoders of images; there is none for `br`, whose bytes are not valid here.
_ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: data[::-1],
}
HTML = "<!DOCTYPE html><html><body><h1>Service temporarily unavailable</h1></body></html>"


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
        """Send the image if the URL is valid and not expired."""
        now = time.time()
        access = self.signer.check(request.url.path, request.query_params, now)
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
        where = Circumstances(
            self.hosts.asked(request),
            task.account,
            task.request.model.slug,
            task.request.prompt,
            task.id,
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
        return await self._picture(request, task, task.sample, plan)

    async def _picture(
        self, request: Request, task: Task, sample: Sample, plan: DownloadPlan
    ) -> Response:
        data = await self.generator.picture(task)
        headers = _headers(task, sample, request) | {"content-md5": _content_md5(data)}
        if plan.encoding and not _no_transform_requested(plan.encoding, request):
            self.ledger.download(task, time.time())
            headers["content-encoding"] = plan.encoding
            return Response(_ENCODERS[plan.encoding](data), headers=headers)
        if plan.flips:
            return Response(_flipped(data, plan.flips), headers=headers)
        whole = Response(data, headers=headers)
        if plan.fraction < 1:
            return BrokenResponse(whole, plan.fraction, plan.stall, self.connections, request)
        if request.method == "GET":
            self.ledger.download(task, time.time())
        return TricklingResponse(whole, plan.spread) if plan.spread else whole


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


def _content_md5(data: bytes) -> str:
    """Return the checksum that Azure's blob storage stores and sends (RFC 1864)."""
    return base64.b64encode(md5(data, usedforsecurity=False).digest()).decode()


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
