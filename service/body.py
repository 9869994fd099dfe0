"""Reads a request's body, up to a limit."""

from typing import Any

from starlette.requests import Request

from service.problems import too_large


async def read_body(request: Request[Any], limit: int) -> bytes:
    """Return the body.

    Args:
        request: Whose.
        limit: Bytes; a larger one is refused by its stated length, or where it passes the limit.

    Raises:
        Problem: 413.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > limit:
        raise too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)
