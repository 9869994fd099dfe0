"""How faults send an answer: late, or slowly."""

import asyncio
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.faults.behavior import AnswerPlan

#: Number of pieces of a trickling answer, if it has that many bytes.
PIECES: Final = 40


async def sent(plan: AnswerPlan, response: Response) -> Response:
    """Return the answer, delayed and paced as the plan says."""
    await asyncio.sleep(plan.wait)
    return TricklingResponse(response, plan.spread) if plan.spread else response


class TricklingResponse(Response):
    """Wraps an answer whose body is sent in small pieces over `seconds`."""

    def __init__(self, inner: Response, seconds: float) -> None:
        super().__init__(inner.body, inner.status_code)
        self.raw_headers = inner.raw_headers
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send the headers, then one piece after the other."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        step = max(1, -(-len(self.body) // PIECES))
        pieces = [self.body[start : start + step] for start in range(0, len(self.body), step)]
        for piece in pieces:
            await asyncio.sleep(self._seconds / len(pieces))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
