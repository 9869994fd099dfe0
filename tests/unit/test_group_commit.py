"""Calls that come together go together, and nobody is left waiting for an answer."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Self

import pytest

from core.errors import StoreUnavailable
from core.redis.group_commit import BATCH_BYTES, BATCH_CALLS, Call, GroupCommit
from tests.conftest import Eventually


class Server:
    """Answers each call with its own argument, once it is let."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.free = threading.Event()
        self.free.set()
        self.answered_first = False
        self.failure: BaseException | None = None

    def __call__(self, calls: Sequence[Call], answered: Callable[[], None]) -> list[Any]:
        """Take a batch."""
        first = not self.batches
        self.batches.append([call.argument for call in calls])
        if self.answered_first:
            answered()
        if first:
            assert self.free.wait(20)
            if self.failure:
                raise self.failure
        bad = StoreUnavailable("this one only")
        return [bad if call.script == "bad" else call.argument for call in calls]


class Crowd:
    """Callers in threads of their own; the first batch waits until all of them are there."""

    def __init__(self, server: Server, eventually: Eventually, patience: float = 20) -> None:
        self.server = server
        self.commit = GroupCommit(server, timeout=patience)
        self._eventually = eventually
        self._stack = ExitStack()
        self._pool = self._stack.enter_context(ThreadPoolExecutor(BATCH_CALLS + 50))
        server.free.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.free.set()
        self._stack.close()

    def call(self, *arguments: str, script: str = "good") -> list["Future[Any]"]:
        """Have each argument sent by a thread of its own; they queue in this order."""
        return [self._send(Call(script, argument)) for argument in arguments]

    def _send(self, call: Call) -> "Future[Any]":
        before = self._state()
        future = self._pool.submit(self.commit.run, call)
        self._eventually(lambda: self._state() != before)
        return future

    def _state(self) -> tuple[int, int]:
        return self.commit.waiting, len(self.server.batches)


@pytest.fixture
def server() -> Server:
    """Return a server that answers at once."""
    return Server()


def test_a_lone_call_goes_out_at_once(server: Server) -> None:
    """One after another, each is a batch of its own."""
    commit = GroupCommit(server, timeout=20)

    assert [commit.run(Call("good", name)) for name in "abc"] == ["a", "b", "c"]
    assert server.batches == [["a"], ["b"], ["c"]]


def test_those_who_come_meanwhile_go_together(server: Server, eventually: Eventually) -> None:
    """While one batch is away, all others gather; each caller gets its own answer."""
    names = [f"call {number}" for number in range(40)]
    with Crowd(server, eventually) as crowd:
        futures = crowd.call(*names)
        server.free.set()
        assert [future.result(20) for future in futures] == names

    assert server.batches == [names[:1], names[1:]]
    assert crowd.commit.waiting == 0


def test_a_batch_is_bounded_by_count(server: Server, eventually: Eventually) -> None:
    """What does not fit goes with the batch after it, in the order of coming."""
    names = [str(number) for number in range(BATCH_CALLS + 3)]
    with Crowd(server, eventually) as crowd:
        futures = crowd.call(*names)
        server.free.set()
        assert [future.result(20) for future in futures] == names

    assert server.batches == [names[:1], names[1 : BATCH_CALLS + 1], names[BATCH_CALLS + 1 :]]


def test_a_batch_is_bounded_by_bytes(server: Server, eventually: Eventually) -> None:
    """Long calls go in smaller batches; one that is longer than the bound goes alone."""
    half, huge = "h" * (BATCH_BYTES // 2), "x" * (BATCH_BYTES + 1)
    with Crowd(server, eventually) as crowd:
        futures = crowd.call("first", half, half, "s", huge, "t")
        server.free.set()
        assert [future.result(20) for future in futures] == ["first", half, half, "s", huge, "t"]

    assert server.batches == [["first"], [half, half], ["s"], [huge], ["t"]]


def test_one_that_fails_fails_alone(server: Server, eventually: Eventually) -> None:
    """The others of its batch get their answers."""
    with Crowd(server, eventually) as crowd:
        good = crowd.call("first", "second")
        (bad,) = crowd.call("third", script="bad")
        good += crowd.call("fourth")
        server.free.set()
        assert [future.result(20) for future in good] == ["first", "second", "fourth"]
        with pytest.raises(StoreUnavailable, match="this one only"):
            bad.result(20)

    assert server.batches == [["first"], ["second", "third", "fourth"]]


@pytest.mark.parametrize("failure", [StoreUnavailable("gone"), RuntimeError("a mistake")])
def test_a_batch_that_fails_fails_for_its_own_callers_only(
    server: Server, eventually: Eventually, failure: Exception
) -> None:
    """Whatever goes wrong, its callers hear of it and the next batch goes out."""
    server.failure = failure
    with Crowd(server, eventually) as crowd:
        (first, second) = crowd.call("first", "second")
        server.free.set()
        with pytest.raises(type(failure), match=str(failure)):
            first.result(20)
        assert second.result(20) == "second"

    assert crowd.commit.run(Call("good", "later")) == "later"


def test_others_of_a_batch_that_met_a_mistake_are_told(
    server: Server, eventually: Eventually
) -> None:
    """Only who sent it meets the mistake; the others learn that nothing is certain."""

    def send(calls: Sequence[Call], answered: Callable[[], None]) -> list[Any]:
        answers = server(calls, answered)
        if len(calls) > 1:
            raise RuntimeError("a mistake")
        return answers

    with Crowd(server, eventually) as crowd:
        crowd.commit = GroupCommit(send, timeout=20)
        futures = crowd.call("first", "second", "third", "fourth")
        server.free.set()
        errors = [type(future.exception(20)) for future in futures]

    assert errors == [type(None), RuntimeError, StoreUnavailable, StoreUnavailable]


def test_a_batch_that_only_waits_for_the_disk_holds_up_nobody(
    server: Server, eventually: Eventually
) -> None:
    """Once the server has answered, the next batch goes out, and may be back first."""
    server.answered_first = True
    with Crowd(server, eventually) as crowd:
        (first,) = crowd.call("first")
        (second,) = crowd.call("second")
        assert second.result(20) == "second"
        assert not first.done()
        server.free.set()
        assert first.result(20) == "first"


def test_nobody_waits_for_ever(server: Server, eventually: Eventually) -> None:
    """When a batch does not come back, those behind it give up, and are not sent later."""
    with Crowd(server, eventually, patience=0.2) as crowd:
        first, second, third = crowd.call("first", "second", "third")
        for future in (second, third):
            with pytest.raises(StoreUnavailable, match="in time"):
                future.result(20)
        server.free.set()
        assert first.result(20) == "first"
        assert crowd.commit.run(Call("good", "later")) == "later"

    assert server.batches == [["first"], ["later"]]


def test_who_gives_up_as_its_turn_comes_leaves_the_turn_to_the_next(
    server: Server, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller whose patience ends in that very moment does not block the way for good."""
    patience = 19.0
    wait = threading.Event.wait

    def too_late(event: threading.Event, timeout: float | None = None) -> bool:
        woken = wait(event, timeout)
        return woken and not (timeout and patience - 10 < timeout <= patience)

    with Crowd(server, eventually, patience) as crowd:
        (first,) = crowd.call("first")
        monkeypatch.setattr(threading.Event, "wait", too_late)
        (second,) = crowd.call("second")
        server.free.set()
        assert first.result(20) == "first"
        with pytest.raises(StoreUnavailable, match="in time"):
            second.result(20)
        assert crowd.commit.run(Call("good", "later")) == "later"
