"""What the Redis that was found promises for an accepted job, in one word and in a sentence.

`appendfsync always` is the whole promise: Redis answers a write only when it is on disk. With
`everysec` there is WAITAOF's word alone, and not every server keeps it: Valkey 9.1 answers most
of them before its next fsync, as Redis 7.4 first did (redis/redis pull request 13793).
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis
from redis.exceptions import ResponseError

from core.errors import StoreUnavailable
from core.log import event

_log = logging.getLogger(__name__)
#: Seconds between two tries to reach a Redis that is away at the start.
_ASK_AGAIN: Final = 1.0


class Durability(StrEnum):
    """The word for it."""

    ALWAYS = "always"
    WAITAOF = "waitaof"
    NONE = "none"
    #: Too little for `FLUXRELAY_REQUIRE_AOF`: no job is accepted.
    REFUSED = "refused"
    UNKNOWN = "unknown"


_LEVELS: Final = {Durability.ALWAYS: logging.INFO, Durability.REFUSED: logging.ERROR}


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself; None where it does not say.

    Attributes:
        appendonly: It keeps an append-only file.
        appendfsync: When it puts that on disk: `always`, `everysec` or `no`.
        snapshots: It saves its memory from time to time.
        waitaof: It has the command WAITAOF, and lets us use it.
        eviction: Its `maxmemory-policy`.
    """

    appendonly: bool | None
    appendfsync: str | None
    snapshots: bool | None
    waitaof: bool
    eviction: str | None


@dataclass(frozen=True, slots=True)
class Promise:
    """What a server's settings come to.

    Attributes:
        durability: The word.
        at_risk: What may be lost, or why no job is accepted.
        server: What it follows from.
    """

    durability: Durability
    at_risk: str
    server: Server


def ask(client: "redis.Redis") -> Server:
    """Ask a server for its settings; what it does not let us know stays open."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.info()
        pipeline.config_get("append*")  # one name only, as servers before 7.0 want it
        pipeline.config_get("save")
        pipeline.waitaof(1, 0, 1)
        info, append, save, waitaof = pipeline.execute(raise_on_error=False)
    known: dict[str, Any] = info if isinstance(info, dict) else {}
    if known.get("role") == "slave":  # what it would promise as a primary is not known
        # After a failover its name leads to another server.
        client.connection_pool.disconnect(inuse_connections=False)
        raise StoreUnavailable("Redis: it is a replica, and takes no jobs")
    settings: dict[str, str] = append if isinstance(append, dict) else {}
    refused = str(waitaof) if isinstance(waitaof, ResponseError) else ""
    appendonly = settings["appendonly"] == "yes" if "appendonly" in settings else None
    if "aof_enabled" in known:
        appendonly = bool(known["aof_enabled"])
    if "appendonly" in refused:
        appendonly = False
    return Server(
        appendonly=appendonly,
        appendfsync=settings.get("appendfsync"),
        snapshots=bool(save.get("save")) if isinstance(save, dict) else None,
        waitaof="appendonly" in refused or not refused,
        eviction=known.get("maxmemory_policy"),
    )


def judge(server: Server, *, require_aof: bool) -> Promise:
    """Say what may be lost on such a server."""
    if server.appendonly is not False and server.appendfsync == "always":
        return Promise(Durability.ALWAYS, "nothing that was accepted", server)
    if not require_aof:
        return Promise(Durability.NONE, _unguarded(server), server)
    refusal = _refusal(server)
    if refusal:
        return Promise(Durability.REFUSED, refusal, server)
    unless = "" if server.appendfsync else " and appendfsync is not 'always'"
    return Promise(
        Durability.WAITAOF,
        "accepted jobs of up to the last second, if the host dies and this Redis confirms a write "
        f"before its fsync, as Valkey 9.1 does{unless}; set appendfsync to 'always'",
        server,
    )


def _refusal(server: Server) -> str:
    accept = "or set FLUXRELAY_REQUIRE_AOF=no to accept that jobs get lost"
    if server.appendonly is False:
        return (
            "Redis keeps no append-only file (appendonly is off), so an accepted job could be "
            f"lost; switch it on, {accept}"
        )
    if not server.waitaof:
        return (
            "Redis has no WAITAOF (it came with 7.2) or does not let us use it, so appendonly must "
            f"be 'yes' and appendfsync 'always', and CONFIG GET allowed; see to it, {accept}"
        )
    if server.appendfsync == "no":
        return f"appendfsync is 'no', so Redis confirms no write; set it to 'always', {accept}"
    return ""


def _unguarded(server: Server) -> str:
    if server.appendonly is False:
        if server.snapshots is False:
            return "all jobs, whenever Redis ends: it keeps nothing on disk"
        return "all that came after Redis's last snapshot, whenever it ends"
    if server.appendfsync == "everysec":
        return "accepted jobs of up to the last second or two, if the host dies"
    return "accepted jobs that the host has not written to disk yet, if it dies"


def announce(find: Callable[[], Promise], stop: threading.Event) -> None:
    """Log once what the server promises; while it is away say that this is not known yet.

    Args:
        find: Asks the server.
        stop: Ends the waiting for one that is away.
    """
    said = False
    while not stop.is_set():
        try:
            promise = find()
        except StoreUnavailable as error:
            if not said:
                _say(Durability.UNKNOWN, "not known yet: Redis cannot be asked", reason=str(error))
            said = True
            stop.wait(_ASK_AGAIN)
        else:
            _say(promise.durability, promise.at_risk, appendfsync=promise.server.appendfsync)
            if promise.server.eviction not in (None, "noeviction"):
                risk = "jobs: Redis may delete them when its memory is full; set 'noeviction'"
                policy = promise.server.eviction
                event(_log, "redis.may_evict", logging.WARNING, policy=policy, at_risk=risk)
            return


def _say(word: Durability, at_risk: str, **fields: Any) -> None:
    level = _LEVELS.get(word, logging.WARNING)
    event(_log, "redis.durability", level, durability=word, at_risk=at_risk, **fields)


def announce_in_background(find: Callable[[], Promise], stop: threading.Event) -> threading.Thread:
    """Start a thread that does `announce`; it keeps no process alive."""
    thread = threading.Thread(target=announce, args=(find, stop), name="durability", daemon=True)
    thread.start()
    return thread
