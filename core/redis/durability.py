"""Finds out which durability the connected Redis guarantees for accepted jobs.

Only `appendfsync always` guarantees everything: Redis replies to a write once it is on disk. With
`everysec` the guarantee rests on WAITAOF alone, and not every server honours it: Valkey 9.1 usually
replies before its next fsync, as Redis 7.4 did at first (redis/redis pull request 13793).
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
#: Seconds between attempts to reach a Redis that is unreachable at start-up.
_ASK_AGAIN: Final = 1.0


class Durability(StrEnum):
    """Durability levels; also the log field `durability`."""

    ALWAYS = "always"
    WAITAOF = "waitaof"
    NONE = "none"
    #: Below what `FLUXRELAY_REQUIRE_AOF` demands: no job is accepted.
    REFUSED = "refused"
    UNKNOWN = "unknown"


_LEVELS: Final = {Durability.ALWAYS: logging.INFO, Durability.REFUSED: logging.ERROR}


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Durability settings that a server reports; None where it does not tell.

    Attributes:
        appendonly: Whether it keeps an append-only file.
        appendfsync: When it syncs that file: `always`, `everysec` or `no`.
        snapshots: Whether it saves RDB snapshots.
        waitaof: Whether we may call WAITAOF.
        eviction: Its `maxmemory-policy`.
    """

    appendonly: bool | None
    appendfsync: str | None
    snapshots: bool | None
    waitaof: bool
    eviction: str | None


@dataclass(frozen=True, slots=True)
class Guarantee:
    """The durability that follows from a server's settings.

    Attributes:
        durability: The level.
        at_risk: What may be lost, or why no job is accepted, for the log.
        server: The settings it follows from.
    """

    durability: Durability
    at_risk: str
    server: ServerSettings


def read_server(client: "redis.Redis") -> ServerSettings:
    """Read a server's durability settings; those that it does not disclose are None."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.info()
        pipeline.config_get("append*")  # servers before 7.0 accept one pattern only
        pipeline.config_get("save")
        pipeline.waitaof(1, 0, 1)
        info, append, save, waitaof = pipeline.execute(raise_on_error=False)
    known: dict[str, Any] = info if isinstance(info, dict) else {}
    if known.get("role") == "slave":  # its settings as a primary are unknown
        # After a failover the host name points to another server.
        client.connection_pool.disconnect(inuse_connections=False)
        raise StoreUnavailable("Redis: the server is a replica and accepts no writes")
    settings: dict[str, str] = append if isinstance(append, dict) else {}
    refused = str(waitaof) if isinstance(waitaof, ResponseError) else ""
    appendonly = settings["appendonly"] == "yes" if "appendonly" in settings else None
    if "aof_enabled" in known:
        appendonly = bool(known["aof_enabled"])
    if "appendonly" in refused:
        appendonly = False
    return ServerSettings(
        appendonly=appendonly,
        appendfsync=settings.get("appendfsync"),
        snapshots=bool(save.get("save")) if isinstance(save, dict) else None,
        waitaof="appendonly" in refused or not refused,
        eviction=known.get("maxmemory_policy"),
    )


def assess(server: ServerSettings, *, require_aof: bool) -> Guarantee:
    """Return what may be lost on a server with these settings."""
    if server.appendonly is not False and server.appendfsync == "always":
        return Guarantee(Durability.ALWAYS, "no accepted job", server)
    if not require_aof:
        return Guarantee(Durability.NONE, _risk_without_aof(server), server)
    refusal = _refusal(server)
    if refusal:
        return Guarantee(Durability.REFUSED, refusal, server)
    unless = "" if server.appendfsync else " and appendfsync is not 'always'"
    return Guarantee(
        Durability.WAITAOF,
        "accepted jobs of up to the last second, if the host dies and this Redis confirms a write "
        f"before its fsync, as Valkey 9.1 does{unless}; set appendfsync to 'always'",
        server,
    )


def _refusal(server: ServerSettings) -> str:
    accept = "or set FLUXRELAY_REQUIRE_AOF=no to accept that jobs may be lost"
    if server.appendonly is False:
        return (
            "Redis keeps no append-only file (appendonly is off), so an accepted job could be "
            f"lost; set appendonly to 'yes', {accept}"
        )
    if not server.waitaof:
        return (
            "Redis has no WAITAOF (added in 7.2) or denies it, so it needs appendonly "
            f"'yes', appendfsync 'always' and permission for CONFIG GET; set these, {accept}"
        )
    if server.appendfsync == "no":
        return f"appendfsync is 'no', so Redis confirms no writes; set it to 'always', {accept}"
    return ""


def _risk_without_aof(server: ServerSettings) -> str:
    if server.appendonly is False:
        if server.snapshots is False:
            return "all jobs, whenever Redis stops: it keeps nothing on disk"
        return "all changes since Redis's last snapshot, whenever it stops"
    if server.appendfsync == "everysec":
        return "accepted jobs of up to the last second or two, if the host dies"
    return "accepted jobs that the host has not written to disk yet, if it dies"


def log_durability(find: Callable[[], Guarantee], stop: threading.Event) -> None:
    """Log once what the server guarantees; while it is unreachable, log `unknown`.

    Args:
        find: Returns the guarantee.
        stop: Set to stop waiting for an unreachable server.
    """
    said = False
    while not stop.is_set():
        try:
            guarantee = find()
        except StoreUnavailable as error:
            if not said:
                _log_guarantee(
                    Durability.UNKNOWN, "not known yet: Redis is unreachable", reason=str(error)
                )
            said = True
            stop.wait(_ASK_AGAIN)
        else:
            _log_guarantee(
                guarantee.durability, guarantee.at_risk, appendfsync=guarantee.server.appendfsync
            )
            if guarantee.server.eviction not in (None, "noeviction"):
                risk = "jobs: Redis may evict them when its memory is full; set 'noeviction'"
                policy = guarantee.server.eviction
                event(_log, "redis.may_evict", logging.WARNING, policy=policy, at_risk=risk)
            return


def _log_guarantee(word: Durability, at_risk: str, **fields: Any) -> None:
    level = _LEVELS.get(word, logging.WARNING)
    event(_log, "redis.durability", level, durability=word, at_risk=at_risk, **fields)


def log_durability_in_background(
    find: Callable[[], Guarantee], stop: threading.Event
) -> threading.Thread:
    """Run `log_durability` in a daemon thread and return the thread."""
    thread = threading.Thread(
        target=log_durability, args=(find, stop), name="durability", daemon=True
    )
    thread.start()
    return thread
