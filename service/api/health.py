"""`/livez`: is the process alive? `/readyz`: can it accept jobs durably?"""

import logging
from http import HTTPStatus
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from core.errors import StoreUnavailable
from core.log import event
from core.scheduling.circuit_breakers import STORAGE
from core.storage.bucket_capabilities import CAPABILITIES_KEY, CAPABILITIES_LIFE
from service.http.problems import Problem
from service.state import State

_log = logging.getLogger(__name__)

#: Expiry in milliseconds of the key written as a probe.
_PROBE_LIFE: Final = 1000


async def livez(_request: Request[State]) -> JSONResponse:
    """Return 200 while the process runs."""
    return JSONResponse({"status": "alive"})


async def readyz(request: Request[State]) -> JSONResponse:
    """Check Redis and its durability; report the status of accounts and bucket.

    During a shutdown it returns 503 first, so that the balancer stops sending requests.
    """
    if request.state["drain"].started:
        detail = "This process is shutting down; send new requests to another one"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "draining", detail)
    store, accounts = request.state["store"], request.state["accounts"]
    try:
        durability = await run_in_threadpool(store.scripts.check)
        # A full Redis, or a replica, still answers reads.
        await run_in_threadpool(store.read, "set", "ready", "", px=_PROBE_LIFE)
        states = await run_in_threadpool(accounts.states)
        storage = await run_in_threadpool(accounts.breaker_reason, STORAGE)
        bucket = await run_in_threadpool(store.read, "get", CAPABILITIES_KEY)
        left = await run_in_threadpool(store.read, "ttl", CAPABILITIES_KEY)
    except StoreUnavailable as error:
        event(_log, "service.not_ready", logging.ERROR, reason=str(error))
        headers = {"retry-after": "1"}
        status = HTTPStatus.SERVICE_UNAVAILABLE
        raise Problem(status, "not-ready", str(error), headers=headers) from None
    # Jobs are accepted and wait meanwhile, so none of this makes the service unready.
    working = any(not state["refused"] for state in states.values()) and not storage
    found: dict[str, Any] = {"redis": "ok", "durability": durability, "storage": storage or "ok"}
    # Missing S3 guarantees are compensated; collect workers detect them.
    found["bucket"] = "not tried yet" if bucket is None else bucket or "ok"
    # Negative: it is not there.
    found["bucket_age_seconds"] = CAPABILITIES_LIFE - left if left >= 0 else None
    found["proxy"] = request.state["proxy_hint"].text or "ok"
    word = "ready" if working else "degraded"
    return JSONResponse({"status": word, **found, "accounts": states})
