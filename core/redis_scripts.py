"""The one client of Redis: runs our scripts and says what a failure means.

Every change is one script (`core/lua`), so every change is one round trip and atomic. The client
never repeats a command by itself: whether repeating is safe is known only to whoever sent it.
"""

import json
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.retry import Retry

from core.errors import StoreUnavailable
from core.queue import KEY_PREFIX
from core.settings import Settings

_FOLDER: Final = Path(__file__).parent / "lua"
_NAMES: Final = ("create", "transition", "begin", "sweep", "account", "adopt", "replay")
_SOCKET_TIMEOUT: Final = 5.0  # seconds
#: Milliseconds that a write may take to reach the disk before the caller is told to try again.
_FSYNC_TIMEOUT: Final = 3000


def connect(settings: Settings, *, socket_timeout: float = _SOCKET_TIMEOUT) -> "redis.Redis":
    """Return a Redis client; opens no connection yet.

    Args:
        settings: Names the server.
        socket_timeout: Seconds before a silent server counts as away.
    """
    return redis.Redis.from_url(
        settings.redis_url.reveal(),
        decode_responses=True,
        socket_timeout=socket_timeout,
        socket_connect_timeout=socket_timeout,
        retry=Retry(NoBackoff(), 0),
        # Not repeated, but hung up on: after a failover its name leads to another server.
        retry_on_error=[ReadOnlyError],
        health_check_interval=30,
    )


class Scripts:
    """Runs the scripts of `core/lua` on one server.

    Args:
        client: Made by `connect`.
        require_aof: Insist that durable writes are confirmed on disk.
    """

    def __init__(self, client: "redis.Redis", *, require_aof: bool) -> None:
        self._client = client
        self._require_aof = require_aof
        self._confirm = require_aof
        prelude = (_FOLDER / "prelude.lua").read_text(encoding="utf-8")
        self._sources = {
            name: prelude + (_FOLDER / f"{name}.lua").read_text(encoding="utf-8") for name in _NAMES
        }
        self._digests: dict[str, str] = {}

    def run(self, name: str, payload: dict[str, Any], *, durable: bool = False) -> Any:
        """Run one script with one JSON argument and return its answer.

        Args:
            name: The script's file name without ending.
            payload: Its argument.
            durable: Return only once the write is on disk (append-only file, fsync).

        Raises:
            StoreUnavailable: Redis is away, or the write may not be on disk.
        """
        argument = json.dumps(payload | {"rq": KEY_PREFIX}, separators=(",", ":"))
        try:
            return self._run(name, argument, durable=durable and self._confirm)
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis: {_plain(error)}") from error

    def check(self) -> None:
        """Say whether Redis is there and can keep the promise of a 202.

        Raises:
            StoreUnavailable: It is away, or has no append-only file although one is required.
        """
        try:
            self._client.ping()
            if self._require_aof:
                self._check_aof()
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis: {_plain(error)}") from error

    def _run(self, name: str, argument: str, *, durable: bool) -> Any:
        digest = self._digests.get(name) or self._load(name)
        try:
            return self._evaluate(digest, argument, durable=durable)
        except NoScriptError:  # the server was restarted and forgot its scripts
            return self._evaluate(self._load(name), argument, durable=durable)

    def _load(self, name: str) -> str:
        digest = str(self._client.script_load(self._sources[name]))
        self._digests[name] = digest
        return digest

    def _evaluate(self, digest: str, argument: str, *, durable: bool) -> Any:
        if not durable:
            return self._client.evalsha(digest, 0, argument)
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.evalsha(digest, 0, argument)
            pipeline.waitaof(1, 0, _FSYNC_TIMEOUT)
            answer, synced = pipeline.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(synced, ResponseError):
            self._check_aof()
        elif isinstance(synced, Exception):
            raise synced
        elif synced[0] < 1:
            raise StoreUnavailable("Redis: the write was not confirmed on disk in time")
        return answer

    def _check_aof(self) -> None:
        """Find out how this server confirms a write; those before 7.2 have no WAITAOF."""
        try:
            self._client.waitaof(1, 0, 1)
        except ResponseError as error:
            if "unknown command" not in str(error).lower():
                raise StoreUnavailable(
                    "Redis keeps no append-only file (appendonly is off), so an accepted job could "
                    "be lost; switch it on, or set FLUXRELAY_REQUIRE_AOF=no to accept that"
                ) from None
        else:
            return
        server = self._client.config_get("append*")
        if server.get("appendonly") != "yes" or server.get("appendfsync") != "always":
            raise StoreUnavailable(
                "Redis has no WAITAOF (it came with 7.2), so appendonly must be 'yes' and "
                "appendfsync 'always', or an accepted job could be lost"
            )
        # Each write is on disk before its answer, so there is nothing to ask for.
        self._confirm = False


def _plain(error: Exception) -> str:
    """Return an error's kind and text without what could hold a password."""
    text = str(error)
    return type(error).__name__ if "@" in text or "AUTH" in text else text or type(error).__name__
