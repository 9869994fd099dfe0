"""A service on loopback that answers each request as a test tells it to, one after the other."""

import json
from collections.abc import Callable
from typing import Any, Self

from tests.contract.scripted_server import Received, Script, ScriptedServer, Wire, answer, head

PROBLEM = "content-type: application/problem+json"
JOB: dict[str, Any] = {
    "id": "01a1feec-e663-77f8-ba48-1ab172ecb481",
    "model": "flux-pro-1.1",
    "status": "queued",
    "created_at": "2026-11-21T16:25:00.771Z",
    "timeline": [{"status": "queued", "at": "2026-11-21T16:25:00.771Z"}],
}
ENDED: dict[str, Any] = JOB | {
    "status": "succeeded",
    "ended_at": "2026-11-21T16:25:01.903Z",
    "timeline": [
        *JOB["timeline"],
        {"status": "succeeded", "at": "2026-11-21T16:25:01.903Z"},
    ],
}


class ScriptedService:
    """Gives each request the next of its answers, and the last one to all that follow."""

    def __init__(self) -> None:
        self._server = ScriptedServer()
        self._server.script = self._next
        self._answers: list[Script] = [answer(500)]
        self.url = self._server.url

    def says(self, *answers: Script) -> None:
        """Set the answers."""
        self._answers = list(answers)

    @property
    def requests(self) -> list[Received]:
        """Every request so far."""
        return self._server.requests

    def _next(self, wire: Wire) -> None:
        script = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        script(wire)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.close()


def says(status: int, body: object = None, *headers: str) -> Script:
    """Return an answer with a body of JSON."""
    return answer(status, json.dumps(body).encode(), "content-type: application/json", *headers)


def refuses(status: int, kind: str, *headers: str, **members: object) -> Script:
    """Return an answer with a problem document."""
    document = {
        "type": f"urn:fluxrelay:problem:{kind}",
        "title": "Refused",
        "status": status,
        "detail": f"refused as {kind}",
        **members,
    }
    return answer(status, json.dumps(document).encode(), PROBLEM, *headers)


def hangs_up(_wire: Wire) -> None:
    """Close the connection without an answer."""


def streams(*pieces: bytes) -> Script:
    """Return an answer that is an event stream, and then ends."""
    return lambda wire: wire.say(head(200, "content-type: text/event-stream"), *pieces)


def event(number: int, status: str, view: dict[str, Any]) -> bytes:
    """Return an event of a job's stream as it is sent."""
    data = json.dumps({"job": view, "status": status, "at": view["created_at"]})
    return f"id: {number}\nevent: job.{status}\ndata: {data}\n\n".encode()


Answering = Callable[..., ScriptedService]
