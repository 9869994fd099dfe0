"""The one client of Redis: runs our scripts and says what a failure means.

Every change is one script (`core/redis/lua`), so every change is one round trip and atomic. The
client never repeats a command by itself: whether repeating is safe is known only to whoever sent
it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.retry import Retry

from core.errors import StoreUnavailable
from core.redis.durability import Durability, Promise, ask, judge
from core.redis.group_commit import Call, GroupCommit
from core.redis.lua_constants import Constant, definitions
from core.settings.settings import Settings
from core.whole_json import whole_json

_FOLDER: Final = Path(__file__).parent / "lua"
_NAMES: Final = (
    "create", "transition", "begin", "sweep", "account", "adopt", "replay", "resend", "dismiss",
)  # fmt: skip
SOCKET_TIMEOUT: Final = 5.0  # seconds
#: Milliseconds that a write may take to reach the disk before the caller is told to try again.
_FSYNC_TIMEOUT: Final = 3000


def connect(settings: Settings, *, socket_timeout: float = SOCKET_TIMEOUT) -> "redis.Redis":
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
    """Runs the scripts of `core/redis/lua` on one server.

    Args:
        client: Made by `connect`.
        constants: What the scripts know beforehand, by name (`core/redis/lua/prelude.lua`).
        require_aof: Insist that durable writes are confirmed on disk.
    """

    def __init__(
        self, client: "redis.Redis", constants: Mapping[str, Constant], *, require_aof: bool
    ) -> None:
        self._client = client
        self._require_aof = require_aof
        self._confirm = require_aof
        prelude = definitions(constants) + "\n"
        prelude += (_FOLDER / "prelude.lua").read_text(encoding="utf-8")
        self._sources = {
            name: prelude + (_FOLDER / f"{name}.lua").read_text(encoding="utf-8") for name in _NAMES
        }
        self._digests: dict[str, str] = {}
        # The batch before, connecting, and its own batch: each ends within a socket's time limit.
        silence = client.connection_pool.connection_kwargs.get("socket_timeout") or SOCKET_TIMEOUT
        self.commit = GroupCommit(self._send, patience=3 * silence)

    def run(self, name: str, payload: dict[str, Any], *, durable: bool = False) -> Any:
        """Run one script with one JSON argument and return its answer.

        Args:
            name: The script's file name without ending.
            payload: Its argument.
            durable: Return only once the write is on disk (append-only file, fsync).

        Raises:
            StoreUnavailable: Redis is away, or the write may not be on disk.
        """
        argument = whole_json(payload)
        if durable and self._confirm:
            return self.commit.run(Call(name, argument))
        try:
            return self._run(name, argument)
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    def promise(self) -> Promise:
        """Find out what this server promises for an accepted job.

        Raises:
            StoreUnavailable: It is away.
        """
        try:
            promise = judge(ask(self._client), require_aof=self._require_aof)
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
        # Where each write is on disk before its answer, a server may do without WAITAOF.
        without = promise.durability is Durability.ALWAYS and not promise.server.waitaof
        self._confirm = self._require_aof and not without
        return promise

    @property
    def confirmation(self) -> tuple[str | int, ...] | None:
        """What is sent behind writes to have them confirmed on disk; None where nothing is."""
        return ("WAITAOF", 1, 0, _FSYNC_TIMEOUT) if self._confirm else None

    def source(self, name: str) -> str:
        """Return a script's text."""
        return self._sources[name]

    def check(self) -> Durability:
        """Say whether Redis is there and can keep the promise of a 202.

        Raises:
            StoreUnavailable: It is away, or has no append-only file although one is required.
        """
        promise = self.promise()
        if promise.durability is Durability.REFUSED:
            raise StoreUnavailable(promise.at_risk)
        return promise.durability

    def _run(self, name: str, argument: str) -> Any:
        answer = self._call(self._digest(name), argument)
        if isinstance(answer, NoScriptError):  # the server was restarted and forgot its scripts
            answer = self._call(self._load(name), argument)
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def _call(self, digest: str, argument: str) -> Any:
        # The client's own way for any command costs three times the CPU of this.
        with self._connection() as connection:
            connection.send_command("EVALSHA", digest, 0, argument)
            answer = _read(connection)
            if isinstance(answer, ReadOnlyError):
                raise answer  # which hangs up: after a failover its name leads to another server
        return answer

    def _digest(self, name: str) -> str:
        return self._digests.get(name) or self._load(name)

    def _load(self, name: str) -> str:
        digest = str(self._client.script_load(self._sources[name]))
        self._digests[name] = digest
        return digest

    def _send(self, calls: Sequence[Call], answered: Callable[[], None]) -> list[Any]:
        """Run scripts in one round trip, and wait until all of them are on disk.

        Returns:
            For each its answer, or a `StoreUnavailable` where it alone failed.
        """
        try:
            answers = self._evaluate(calls, answered)
            again = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if again:  # as in `_run`; what the server did know is done and must not run twice
                for name in {calls[at].script for at in again}:
                    self._load(name)
                repeated = self._evaluate([calls[at] for at in again], answered)
                for at, answer in zip(again, repeated, strict=True):
                    answers[at] = answer
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
        return [unavailable(a) if isinstance(a, Exception) else a for a in answers]

    def _evaluate(self, calls: Sequence[Call], answered: Callable[[], None]) -> list[Any]:
        digests = {name: self._digest(name) for name in {call.script for call in calls}}
        commands = [("EVALSHA", digests[call.script], 0, call.argument) for call in calls]
        with self._connection() as connection:
            # WAITAOF waits for all that its connection wrote, so one is enough.
            confirm = ("WAITAOF", 1, 0, _FSYNC_TIMEOUT)
            connection.send_packed_command(connection.pack_commands([*commands, confirm]))
            answers = [_read(connection) for _ in calls]
            answered()
            synced = _read(connection)
        if isinstance(synced, ResponseError):
            self.check()
            if self._confirm:
                raise StoreUnavailable("Redis: the write was not confirmed on disk")
        elif synced[0] < 1:
            raise StoreUnavailable("Redis: the write was not confirmed on disk in time")
        return answers

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        pool = self._client.connection_pool
        connection: Any = pool.get_connection()  # its methods have no types
        try:
            yield connection
        except BaseException:
            # An answer that nobody read would be taken for the next command's.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)


def _read(connection: Any) -> Any:
    """Return an answer, or what the server has against the command."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def unavailable(error: Exception) -> StoreUnavailable:
    """Return what an error of the client comes to."""
    return StoreUnavailable(f"Redis: {_plain(error)}")


def _plain(error: Exception) -> str:
    """Return an error's kind and text without what could hold a password."""
    text = str(error)
    return type(error).__name__ if "@" in text or "AUTH" in text else text or type(error).__name__
