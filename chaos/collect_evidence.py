"""Collects evidence from the provider's ledger, the bucket, the receiver, and Redis."""

import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, Final

import httpx

from chaos.judge.evidence import BucketObject, Leftovers, ReceivedCallback
from stack.receiver import Callback
from stack.stack import Stack

INPUTS: Final = "_inputs/"

_THREADS: Final = 8
_LINES: Final = ".ndjson"
_PIECE: Final = 1024 * 1024  # bytes
_TRIES: Final = 5
_BETWEEN: Final = 1.0  # seconds


def ledger(stack: Stack) -> dict[str, Any]:
    """Return the provider's ledger."""
    answer = httpx.get(f"{stack.sandbox_url}/sandbox/ledger", timeout=60, trust_env=False)
    answer.raise_for_status()
    books: dict[str, Any] = answer.json()
    return books


def views(stack: Stack, job_ids: Iterable[str]) -> dict[str, dict[str, Any] | None]:
    """Return the service's view of each job; None if it does not know the id.

    Raises:
        httpx.HTTPError: The service does not answer.
    """
    headers = {"authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(
        base_url=stack.service_url, headers=headers, timeout=10, trust_env=False
    ) as http:

        def show(job_id: str) -> dict[str, Any] | None:
            answer = _get(lambda: http.get(f"/v1/jobs/{job_id}"))
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            shown: dict[str, Any] = answer.raise_for_status().json()
            return shown

        wanted = list(job_ids)
        with ThreadPoolExecutor(_THREADS) as pool:
            return dict(zip(wanted, pool.map(show, wanted), strict=True))


def listed(stack: Stack) -> list[tuple[str, str]]:
    """Return the ids and statuses on all pages of the service's list of jobs.

    Raises:
        httpx.HTTPError: The service does not answer.
    """
    headers = {"authorization": f"Bearer {stack.api_key}"}
    found: list[tuple[str, str]] = []
    query: dict[str, str] = {"limit": "100"}
    with httpx.Client(
        base_url=stack.service_url, headers=headers, timeout=10, trust_env=False
    ) as http:
        while True:
            page = _get(lambda: http.get("/v1/jobs", params=query)).raise_for_status().json()
            found += [(job["id"], job["status"]) for job in page["jobs"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]


def bucket(stack: Stack) -> dict[str, BucketObject]:
    """Return every object of the bucket, each read completely, large ones piece by piece."""
    s3 = stack.s3()

    def read(key: str) -> BucketObject:
        size, digest, text = 0, sha256(), b""
        for piece in s3.get_object(Bucket=stack.bucket, Key=key)["Body"].iter_chunks(_PIECE):
            size += len(piece)
            digest.update(piece)
            text += piece if key.endswith((".json", _LINES)) else b""
        try:
            lines = key.endswith(_LINES)
            parsed = [json.loads(one) for one in (text.splitlines() if lines else [text]) if one]
            document = parsed if lines else (parsed or [None])[0]
        except ValueError:
            document = None  # an invalid manifest, which the judge reports
        return BucketObject(size, digest.hexdigest(), document)

    keys = list(_keys(stack))
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip(keys, pool.map(read, keys), strict=True))


def inputs(stack: Stack) -> list[str]:
    """Return the keys of input files in the bucket."""
    return list(_keys(stack, INPUTS))


def unfinished_uploads(stack: Stack) -> list[str]:
    """Return the keys to which parts were uploaded that were neither joined nor removed."""
    pages = stack.s3().get_paginator("list_multipart_uploads")
    return [
        upload["Key"]
        for page in pages.paginate(Bucket=stack.bucket)
        for upload in page.get("Uploads", ())
    ]


def _keys(stack: Stack, prefix: str = "") -> Iterable[str]:
    pages = stack.s3().get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=stack.bucket, Prefix=prefix):
        yield from (entry["Key"] for entry in page.get("Contents", ()))


def received_callbacks(
    callbacks: Iterable[Callback], *, of_batches: bool = False
) -> list[ReceivedCallback]:
    """Return the callbacks that the receiver got: about jobs, or about batches."""
    return [_told(one) for one in callbacks if ("/batch-" in one.path) == of_batches]


def _told(callback: Callback) -> ReceivedCallback:
    match callback.payload:
        case {"data": {"id": str(job_id), "status": str(status)}}:
            message_id = callback.headers.get("webhook-id")
            return ReceivedCallback(callback.path, True, message_id, job_id, status)
        case _:
            return ReceivedCallback(callback.path, verified=False)


def leftovers(stack: Stack) -> Leftovers:
    """Return what is left in Redis."""
    with stack.redis() as client:
        redis: Any = client
        queues = sorted(redis.scan_iter("rq:queue:*"))
        popped = [name for name in queues if name.endswith(":intermediate")]
        waiting = [name for name in queues if name not in popped]
        in_lists = {
            "queued": _members(redis, waiting, "list"),
            "intermediate": _members(redis, popped, "list"),
            "started": _members(redis, redis.scan_iter("rq:wip:*"), "zset"),
        }
        due = redis.zrange("due", 0, -1)
        guards = _guards(redis, due)
        letters = frozenset(
            member.partition(" job:")[2]
            for member in redis.zrange("dead", 0, -1)
            if " job:" in member
        )
        expected = {f"cleanup:{job_id}" for job_id in guards | letters}
        return Leftovers(
            slots=_members(redis, redis.scan_iter("slots:*"), "zset"),
            backlog=_members(redis, redis.scan_iter("backlog:*"), "zset"),
            orphaned=_orphaned(redis, {task for tasks in in_lists.values() for task in tasks}),
            due=tuple(
                member
                for member in due
                # Account checks never end, and dead letters expire with their record.
                if not member.startswith(("account:", "forget:")) and member not in expected
            ),
            guards=frozenset(guards),
            letters=letters,
            **in_lists,
        )


def _guards(redis: Any, due: list[str]) -> set[str]:
    """Return the ids of jobs that were never accepted and whose inputs will be deleted."""
    ids = [member.partition(":")[2] for member in due if member.startswith("cleanup:")]
    return {job_id for job_id in ids if not redis.exists(f"job:{job_id}")}


def _members(redis: Any, names: Iterable[str], kind: str) -> tuple[str, ...]:
    read = redis.zrange if kind == "zset" else redis.lrange
    return tuple(
        member for name in names if redis.type(name) == kind for member in read(name, 0, -1)
    )


def _orphaned(redis: Any, at_home: set[str]) -> tuple[str, ...]:
    known = {task.partition(":")[0] for task in at_home}
    names = [name for name in redis.scan_iter("rq:job:*", count=1000) if name.count(":") == 2]  # noqa: PLR2004 - rq:job:{task}
    lives = [redis.ttl(name) for name in names]
    tasks = [name.rpartition(":")[2] for name, life in zip(names, lives, strict=True) if life == -1]
    return tuple(task for task in tasks if task not in known)


def _get(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Retry while there is no answer, or a server error."""
    for _ in range(_TRIES - 1):
        try:
            answer = ask()
        except httpx.HTTPError:
            time.sleep(_BETWEEN)
            continue
        if not answer.is_server_error:
            return answer
        time.sleep(_BETWEEN)
    return ask()
