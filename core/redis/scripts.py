"""The Redis client: runs the Lua scripts and translates failures.

Every change is one script (`core/redis/lua`), so it is atomic and takes one round trip. The client
never retries by itself: only the caller knows whether a repetition is safe.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.retry import Retry

from core.errors import StoreUnavailable
from core.redis.durability import Durability, Guarantee, assess, read_server
from core.redis.group_commit import Call, GroupCommit
from core.redis.lua_source import Constant, definitions, with_needed
from core.settings.settings import Settings
from core.whole_json import whole_json

_FOLDER: Final = Path(__file__).parent / "lua"
#: What every script begins with, in this order; a later file uses the earlier ones.
SHARED: Final = (
    "base.lua", "job_index.lua", "batch_counts.lua", "events.lua", "attempts.lua", "prelude.lua",
)  # fmt: skip
#: Each script, and what else stands in front of it.
_SCRIPTS: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys(("transition", "begin", "account", "adopt", "replay", "resend", "dismiss"), ()),
    **dict.fromkeys(("list", "place", "test_callback"), ()),
    "create": ("create_job.lua",),
    "sweep": ("create_job.lua", "expand.lua"),
    **dict.fromkeys(("stage_items", "drop_staged", "commit_batch"), ("staging.lua",)),
    **dict.fromkeys(("change_batch", "resend_batch"), ()),
    **dict.fromkeys(("read_batch", "list_batches", "batch_members", "batch_jobs"), ()),
    **dict.fromkeys(("cancel_batch", "expand_now"), ("create_job.lua", "expand.lua")),
}
SOCKET_TIMEOUT: Final = 5.0  # seconds
#: Milliseconds that WAITAOF waits for the fsync.
_FSYNC_TIMEOUT: Final = 3000


class Round(NamedTuple):
    """Commands that are sent together; their replies are read together, errors as values."""

    commands: Sequence[tuple[Any, ...]]
    #: Number of replies after which only the fsync is still awaited; 0: there is none.
    answered: int


#: What a batch asks of whoever waits for Redis: the replies to a round, or (None) a new look at the
#: server's durability. Returns a reply, or a `StoreUnavailable`, per call.
Batch = Generator[Round | None, list[Any], list[Any]]


def connect(settings: Settings, *, socket_timeout: float = SOCKET_TIMEOUT) -> "redis.Redis":
    """Return a Redis client; opens no connection yet.

    Args:
        settings: Names the server.
        socket_timeout: Seconds without a reply after which the server counts as unreachable.
    """
    return redis.Redis.from_url(
        settings.redis_url.reveal(),
        decode_responses=True,
        socket_timeout=socket_timeout,
        socket_connect_timeout=socket_timeout,
        retry=Retry(NoBackoff(), 0),
        # Listed here so that the connection is closed: after a failover the host name points to
        # another server. With no retries, the command is not repeated.
        retry_on_error=[ReadOnlyError],
        health_check_interval=30,
    )


class Scripts:
    """Runs the scripts of `core/redis/lua` on one server.

    Args:
        client: Made by `connect`.
        constants: Lua constants by name (`core/redis/lua/prelude.lua`).
        require_aof: Whether durable writes must be confirmed by an fsync.
    """

    def __init__(
        self, client: "redis.Redis", constants: Mapping[str, Constant], *, require_aof: bool
    ) -> None:
        self._client = client
        self._require_aof = require_aof
        self._confirm = require_aof
        prelude = definitions(constants) + "\n" + _text(*SHARED)
        self._sources = {
            name: with_needed(prelude + _text(*parts), _text(f"{name}.lua"))
            for name, parts in _SCRIPTS.items()
        }
        self._digests = {
            name: sha1(text.encode(), usedforsecurity=False).hexdigest()
            for name, text in self._sources.items()
        }
        # Waiting for the previous batch, connecting, and the batch itself are each bounded by the
        # socket timeout.
        socket_timeout = (
            client.connection_pool.connection_kwargs.get("socket_timeout") or SOCKET_TIMEOUT
        )
        self.commit = GroupCommit(self._send, timeout=3 * socket_timeout)

    def run(self, name: str, payload: dict[str, Any], *, durable: bool = False) -> Any:
        """Run one script with one JSON argument and return its reply.

        Args:
            name: The script's file name without extension.
            payload: The argument.
            durable: Return only once the writes are fsynced to the append-only file.

        Raises:
            StoreUnavailable: Redis is unreachable, or the write may not be on disk.
        """
        argument = whole_json(payload)
        if durable and self._confirm:
            return self.commit.run(Call(name, argument))
        try:
            return self._run(name, argument)
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    def guarantee(self) -> Guarantee:
        """Return which durability this server guarantees for accepted jobs.

        Raises:
            StoreUnavailable: Redis is unreachable.
        """
        try:
            guarantee = assess(read_server(self._client), require_aof=self._require_aof)
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
        # With `appendfsync always`, a server without WAITAOF is good enough.
        without = guarantee.durability is Durability.ALWAYS and not guarantee.server.waitaof
        self._confirm = self._require_aof and not without
        return guarantee

    def check(self) -> Durability:
        """Return the durability; raise if Redis cannot guarantee what a 202 promises.

        Raises:
            StoreUnavailable: Redis is unreachable, or lacks the durability that is required.
        """
        guarantee = self.guarantee()
        if guarantee.durability is Durability.REFUSED:
            raise StoreUnavailable(guarantee.at_risk)
        return guarantee.durability

    def batch(self, calls: Sequence[Call], *, durable: bool = True) -> Batch:
        """Yield what runs scripts in one round trip, and confirms that all of them are on disk.

        Blocking or awaiting the replies is up to the caller; all else is decided here.

        Args:
            calls: The scripts.
            durable: False for scripts that only read: there is nothing to confirm.

        Raises:
            StoreUnavailable: The writes may not be on disk.
        """
        answers = yield from self._evaluate(calls, durable=durable)
        again = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if again:  # the server lost its script cache; the calls it did run must not run twice
            unknown = {calls[at].script for at in again}
            yield Round([("SCRIPT", "LOAD", self._sources[name]) for name in unknown], 0)
            repeated = yield from self._evaluate([calls[at] for at in again], durable=durable)
            for at, answer in zip(again, repeated, strict=True):
                answers[at] = answer
        return [unavailable(a) if isinstance(a, Exception) else a for a in answers]

    def _evaluate(self, calls: Sequence[Call], *, durable: bool) -> Batch:
        digests = self._digests
        commands: list[tuple[Any, ...]] = [
            ("EVALSHA", digests[name], 0, argument) for name, argument in calls
        ]
        if (
            durable and self._confirm
        ):  # WAITAOF covers all writes of its connection, so one is enough
            commands.append(("WAITAOF", 1, 0, _FSYNC_TIMEOUT))
        answers = yield Round(commands, len(calls))
        synced = answers.pop() if len(answers) > len(calls) else [1]
        if isinstance(synced, ResponseError):
            yield None
            if self._confirm:
                raise StoreUnavailable("Redis: the write was not confirmed on disk")
        elif synced[0] < 1:
            raise StoreUnavailable("Redis: the write was not confirmed on disk in time")
        return answers

    def _run(self, name: str, argument: str) -> Any:
        command = ("EVALSHA", self._digests[name], 0, argument)
        answer = self._call(command)
        if isinstance(answer, NoScriptError):  # the server was restarted and lost its script cache
            self._client.script_load(self._sources[name])
            answer = self._call(command)
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def _call(self, command: tuple[Any, ...]) -> Any:
        # redis-py's `execute_command` costs three times the CPU.
        with self._connection() as connection:
            connection.send_command(*command)
            answer = _read(connection)
            if isinstance(answer, ReadOnlyError):
                raise answer  # closes the connection, which a failover made useless
        return answer

    def _send(self, calls: Sequence[Call], answered: Callable[[], None]) -> list[Any]:
        """Run a batch by blocking."""
        batch = self.batch(calls)
        try:
            order = next(batch)
            while True:
                order = batch.send(self._ask(order, answered))
        except StopIteration as end:
            results: list[Any] = end.value
            return results
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    def _ask(self, order: Round | None, answered: Callable[[], None]) -> list[Any]:
        if order is None:
            self.check()
            return []
        answers: list[Any] = []
        with self._connection() as connection:
            connection.send_packed_command(connection.pack_commands(order.commands))
            for _ in order.commands:
                answers.append(_read(connection))
                if len(answers) == order.answered:
                    answered()
        return answers

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        pool = self._client.connection_pool
        connection: Any = pool.get_connection()  # its methods have no types
        try:
            yield connection
        except BaseException:
            # An unread reply would be taken for the reply to the next command.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)


def _text(*files: str) -> str:
    """Return the source of some files, one behind the other."""
    return "".join((_FOLDER / name).read_text(encoding="utf-8") for name in files)


def _read(connection: Any) -> Any:
    """Return a reply; an error reply is returned, not raised."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def unavailable(error: Exception) -> StoreUnavailable:
    """Wrap a client error in a `StoreUnavailable`."""
    return StoreUnavailable(f"Redis: {_plain(error)}")


def _plain(error: Exception) -> str:
    """Return an error's text, or only its type if the text might contain a password."""
    text = str(error)
    return type(error).__name__ if "@" in text or "AUTH" in text else text or type(error).__name__
