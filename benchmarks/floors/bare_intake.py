"""`python -m benchmarks.floors.bare_intake PORT`: the floor of an intake.

One durable write per request.

A Starlette handler, `redis.asyncio` with a pool of connections, one pipeline of HSET and WAITAOF,
under uvicorn with the product's own settings. REDIS_URL names the server. It checks nothing, keeps
no queue and answers with an id.
"""

import os
import sys
import uuid
from http import HTTPStatus

import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

_CONNECTIONS = 64
_FSYNC_TIMEOUT = 3000  # milliseconds


def create_app(url: str) -> Starlette:
    """Return the application."""
    client = redis.asyncio.Redis.from_url(url, max_connections=_CONNECTIONS)

    async def take(request: Request) -> JSONResponse:
        body = await request.body()
        name = str(uuid.uuid4())
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.hset(f"bare:{name}", "request", body)
            pipeline.execute_command("WAITAOF", 1, 0, _FSYNC_TIMEOUT)
            _, synced = await pipeline.execute()
        status = HTTPStatus.ACCEPTED if synced[0] else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"id": name}, status)

    return Starlette(routes=[Route("/v1/jobs", take, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(
        create_app(os.environ["REDIS_URL"]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
