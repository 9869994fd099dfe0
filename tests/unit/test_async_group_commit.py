"""On an event loop, calls that come together go together, and nobody is left waiting."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from core.errors import StoreUnavailable
from core.redis.async_group_commit import BATCHES, AsyncGroupCommit
from core.redis.group_commit import BATCH_BYTES, BATCH_CALLS, Call

SOON = 20  # seconds after which a test that hangs fails


class Server:
    """Answers each call with its own argument, once it is let; made inside of a loop."""

    def __init__(self, patience: float = SOON, *, free: bool = True) -> None:
        self.batches: list[list[str]] = []
        self.free = asyncio.Event()
        if free:
            self.free.set()
        self.answered_first = False
        self.failure: BaseException | None = None
        self.commit = AsyncGroupCommit(self.send, timeout=patience)

    async def send(self, calls: Sequence[Call], answered: Callable[[], None]) -> list[Any]:
        """Take a batch."""
        first = not self.batches
        self.batches.append([call.argument for call in calls])
        if self.answered_first:
            answered()
        await self.free.wait()
        if first and self.failure:
            raise self.failure
        bad = StoreUnavailable("this one only")
        return [bad if call.script == "bad" else call.argument for call in calls]

    async def call(self, *arguments: str, script: str = "good") -> list["asyncio.Task[Any]"]:
        """Have each argument sent by a request of its own, all in one turn."""
        tasks = [asyncio.create_task(self.commit.run(Call(script, each))) for each in arguments]
        await self.turns()
        return tasks

    async def turns(self) -> None:
        """Let the loop do what it can."""
        for _ in range(5):
            await asyncio.sleep(0)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test on a loop of its own, for so long at most."""

    async def bounded() -> None:
        async with asyncio.timeout(SOON):
            await test()

    asyncio.run(bounded())


def test_a_lone_call_goes_out_at_once() -> None:
    """One after another, each is a batch of its own."""

    async def test() -> None:
        server = Server()
        assert [await server.commit.run(Call("good", name)) for name in "abc"] == ["a", "b", "c"]
        assert server.batches == [["a"], ["b"], ["c"]]

    run(test)


def test_those_of_one_turn_and_those_who_come_meanwhile_go_together() -> None:
    """Each gets its own answer; while one batch is away, all others gather."""

    async def test() -> None:
        server = Server(free=False)
        tasks = await server.call("a", "b")
        tasks += await server.call("c")
        tasks += await server.call("d")
        assert server.commit.waiting == 2
        server.free.set()
        assert await asyncio.gather(*tasks) == ["a", "b", "c", "d"]
        assert server.batches == [["a", "b"], ["c", "d"]]

    run(test)


def test_a_batch_is_bounded() -> None:
    """By count and by bytes; one that is longer than the bound goes alone."""

    async def test() -> None:
        server = Server()
        names = [str(number) for number in range(BATCH_CALLS + 3)]
        await asyncio.gather(*await server.call(*names))
        half, huge = "h" * (BATCH_BYTES // 2), "x" * (BATCH_BYTES + 1)
        await asyncio.gather(*await server.call(half, half, "s", huge, "t"))
        assert server.batches[:2] == [names[:BATCH_CALLS], names[BATCH_CALLS:]]
        assert server.batches[2:] == [[half, half], ["s"], [huge], ["t"]]

    run(test)


def test_one_that_fails_fails_alone() -> None:
    """The others of its batch get their answers."""

    async def test() -> None:
        server = Server(free=False)
        tasks = [*await server.call("a"), *await server.call("b", script="bad")]
        tasks += await server.call("c")
        server.free.set()
        a, b, c = await asyncio.gather(*tasks, return_exceptions=True)
        assert (a, c) == ("a", "c")
        assert isinstance(b, StoreUnavailable)
        assert str(b) == "this one only"

    run(test)


@pytest.mark.parametrize(
    ("failure", "kinds"),
    [
        (StoreUnavailable("gone"), [StoreUnavailable, StoreUnavailable]),
        (RuntimeError("a mistake"), [RuntimeError, StoreUnavailable]),
    ],
)
def test_a_batch_that_fails_fails_for_its_own_callers_only(
    failure: Exception, kinds: list[type[Exception]]
) -> None:
    """Each has its own error; the next batch goes out."""

    async def test() -> None:
        server = Server(free=False)
        server.failure = failure
        tasks = [*await server.call("a", "b"), *await server.call("c")]
        server.free.set()
        *failed, last = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in failed] == kinds
        assert failed[0] is not failed[1]
        assert last == "c"

    run(test)


def test_a_batch_that_cannot_even_be_sent_holds_up_nobody() -> None:
    """Its caller meets the mistake; the next batch goes out."""

    def refuse(_calls: Sequence[Call], _answered: Callable[[], None]) -> Any:
        raise RuntimeError("a mistake")

    async def test() -> None:
        commit = AsyncGroupCommit(refuse, timeout=SOON)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="a mistake"):
                await commit.run(Call("good", "a"))

    run(test)


def test_a_batch_that_only_waits_for_the_disk_holds_up_nobody() -> None:
    """Once the server has answered, the next batch goes out; so many may wait, and no more."""

    async def test() -> None:
        server = Server(free=False)
        server.answered_first = True
        tasks: list[asyncio.Task[Any]] = []
        for number in range(BATCHES + 2):
            tasks += await server.call(str(number))
        assert len(server.batches) == BATCHES
        assert server.commit.waiting == 2
        server.free.set()
        assert await asyncio.gather(*tasks) == [str(number) for number in range(BATCHES + 2)]
        assert server.batches[-1] == [str(BATCHES), str(BATCHES + 1)]

    run(test)


def test_whoever_leaves_is_not_sent_and_breaks_nothing() -> None:
    """A request that is broken off takes nobody along, whether its call was sent or not."""

    async def test() -> None:
        server = Server(free=False)
        a, b = await server.call("a", "b")
        c, d = await server.call("c", "d")
        a.cancel()
        c.cancel()
        server.free.set()
        assert list(await asyncio.gather(b, d)) == ["b", "d"]
        assert a.cancelled()
        assert c.cancelled()
        assert server.batches == [["a", "b"], ["d"]]

    run(test)


def test_nobody_waits_for_ever() -> None:
    """Where a batch does not come back, it and those behind it give up, and are not sent later."""

    async def test() -> None:
        server = Server(patience=0.1, free=False)
        tasks = [*await server.call("a"), *await server.call("b")]
        clock = asyncio.get_running_loop().time
        late = clock() + 0.1
        while clock() <= late:  # nothing else gets on, as where the loop is held up
            pass
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(error) for error in errors] == 2 * [
            "Redis: the write was not confirmed in time"
        ]
        server.free.set()
        assert await server.commit.run(Call("good", "later")) == "later"
        assert server.batches == [["a"], ["later"]]

    run(test)
