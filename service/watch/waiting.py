"""`Prefer: wait=N` and `?wait=N`: how long a request waits for an end, and the wait."""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request

from core.errors import StoreUnavailable
from service.http.problems import FieldError, Problem, invalid
from service.http.query_parameters import only_value, unknown
from service.watch.hub import Hub
from service.watch.waiters import Kind

#: Most seconds that a request waits; more are cut.
LONGEST_WAIT: Final = 60
_PARAMETER: Final = "wait"
#: Statuses of events after which nothing follows, of jobs and of batches.
ENDS: Final = frozenset({"succeeded", "failed", "canceled", "completed"})
#: A preference of RFC 7240: a name, perhaps a value, perhaps parameters, which mean nothing here.
_WAIT: Final = re.compile(
    r'\s*wait\s*=\s*(?:(\d{1,9})|"(\d{1,9})")\s*(?:;.*)?', re.ASCII | re.IGNORECASE
)
_NAME: Final = re.compile(r"\s*wait\s*(?:[=;].*)?", re.IGNORECASE)
_SECONDS: Final = re.compile(r"\d{1,9}", re.ASCII)


class Ends(Protocol):
    """What can be waited for."""

    @property
    def ended_at(self) -> float | None:
        """When it ended; None: it has not."""


_One = TypeVar("_One", bound=Ends)


def preferred_wait(headers: Headers) -> int:
    """Return the seconds that `Prefer: wait=N` names; 0 where it names none.

    Of several the first counts, and a malformed one is ignored (RFC 7240 section 2).
    """
    for line in headers.getlist("prefer"):
        for preference in line.split(","):
            if _NAME.fullmatch(preference):
                found = _WAIT.fullmatch(preference)
                return min(int(found[1] or found[2]), LONGEST_WAIT) if found else 0
    return 0


def asked_wait(query: QueryParams) -> int | None:
    """Return the seconds that `?wait=N` names; None where it is not given.

    Raises:
        Problem: It is malformed.
    """
    text = only_value(query, _PARAMETER)
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        allowed = f"whole seconds from 0 to {LONGEST_WAIT}"
        raise invalid(
            [FieldError("query.wait", "is not a number of seconds", allowed, f"send {allowed}")]
        )
    return min(int(text), LONGEST_WAIT)


def wait_of(request: Request[Any]) -> tuple[int, bool]:
    """Return how many seconds a GET waits, and whether it has to (`?wait=`) or prefers to.

    Raises:
        Problem: `?wait=` is malformed, or there is another parameter.
    """
    # Not the request's own copy, which would be kept as long as the request waits.
    query = QueryParams(request.scope["query_string"])
    if errors := unknown(query, [_PARAMETER]):
        raise invalid(errors)
    asked = asked_wait(query)
    return (preferred_wait(request.headers), False) if asked is None else (asked, True)


def applied(seconds: int) -> dict[str, str]:
    """Return the headers of an answer that has been waited for."""
    return {"preference-applied": f"wait={seconds}"} if seconds else {}


async def wait_for_end(
    hub: Hub,
    request: Request[Any],
    key: str,
    one: _One | None,
    load: Callable[[], Awaitable[_One | None]],
    *,
    tenant: str,
    seconds: int,
) -> tuple[_One | None, int]:
    """Wait until a job or a batch has ended, for some seconds at most.

    While Redis is away, it waits on: what happened meanwhile is told afterwards.

    Args:
        hub: Where the end is told.
        request: The request that waits.
        key: The id of what it waits for.
        one: What it waits for as it was before; None: unknown.
        load: Loads it again.
        tenant: Who sent the request.
        seconds: How long to wait at most.

    Returns:
        It, and the seconds.

    Raises:
        Problem: Too many wait already.
        StoreUnavailable: Redis is away already.
    """
    async with hub.mailbox(key, request, ENDS, tenant=tenant, kind=Kind.WAIT, patient=True) as box:
        newer = await load()  # its end may have come before the mailbox
        if newer is None or newer.ended_at is not None or box.closed:
            return newer or one, seconds
        one = one or newer
        del newer  # thousands may wait: one of both is kept
        await box.take(seconds)
    with suppress(StoreUnavailable):  # then as it stood before
        one = await load() or one
    return one, seconds


async def wait_if_possible(
    hub: Hub,
    request: Request[Any],
    key: str,
    one: _One | None,
    load: Callable[[], Awaitable[_One | None]],
    *,
    tenant: str,
    seconds: int,
) -> tuple[_One | None, int]:
    """Wait as `wait_for_end` does, but where that is impossible do not wait.

    Returns:
        As it does; the seconds are 0 if it did not wait.
    """
    try:
        return await wait_for_end(hub, request, key, one, load, tenant=tenant, seconds=seconds)
    except (Problem, StoreUnavailable):
        return one, 0
