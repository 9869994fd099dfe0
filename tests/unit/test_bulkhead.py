"""Slow receivers and videos leave threads for the callbacks and images of all others."""

import contextlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Eventually
from worker.clients.bulkhead import Bulkhead, VideoPlaces, threads
from worker.clients.receiver import Receiver

#: What is set, each of the two reserves, and how many threads there are then.
SET, RESERVE, ALL = 16, 4, 24
#: The longest that a callback without a place is delayed, in seconds.
LONGEST = 300.0


class _World:
    """Attempts that run until the test ends them, under a clock that it sets."""

    def __init__(self, concurrency: int = SET, patience: float = 0.01) -> None:
        self.now = 1000.0
        rng = random.Random(1)  # noqa: S311 - no secret
        self.bulkhead = Bulkhead(
            concurrency=concurrency, clock=lambda: self.now, rng=rng, patience=patience
        )
        self.running = contextlib.ExitStack()

    def wait(self, tenant: str, host: str) -> float:
        """Begin an attempt if there is a place; return the seconds to wait, 0 if it began."""
        receiver = Receiver(tenant, f"https://{host}.example/callback")
        return self.running.enter_context(self.bulkhead.place(receiver))

    def begin(self, tenant: str, host: str, most: int) -> int:
        """Begin up to so many slow attempts; return how many of them began."""
        waits = []
        for _ in range(most):
            waits.append(self.wait(tenant, host))
            self.now += 1  # each has been slow before the next one comes
        return waits.count(0)


@pytest.fixture
def world() -> Iterator[_World]:
    """Return a world with no attempts; what a test leaves running ends after it."""
    made = _World()
    with made.running:
        yield made


@pytest.mark.parametrize(("concurrency", "most"), [(1, 3), (2, 4), (8, 12), (16, 24), (100, 150)])
def test_a_worker_has_more_threads_than_are_set(concurrency: int, most: int) -> None:
    """So one receiver alone can have as many as are set, and others find some all the same."""
    assert threads(concurrency) == most
    world = _World(concurrency)

    with world.running:
        assert concurrency <= world.begin("alice", "hangs", most) < most
        assert world.wait("bob", "hangs") == 0


def test_the_same_host_of_another_tenant_is_called(world: _World) -> None:
    """Alice's callbacks hang there: hers wait, bob's are sent."""
    assert world.begin("alice", "shared", ALL) == SET

    assert world.wait("alice", "shared") > 0
    assert world.wait("bob", "shared") == 0


def test_many_slow_hosts_of_one_tenant_leave_threads_for_another(world: _World) -> None:
    """However many hosts she names, each of them new: the last reserve is not for her."""
    began = sum(world.begin("alice", f"hangs-{n}", 1) for n in range(10 * ALL))

    assert began == ALL - RESERVE
    assert world.wait("bob", "well") == 0


def test_a_good_host_is_called_beside_a_slow_one_of_its_tenant(world: _World) -> None:
    """The first reserve is for receivers that have few: a slow one does not get it."""
    assert world.begin("alice", "hangs", ALL) == SET

    assert world.begin("alice", "well", ALL) == RESERVE
    assert world.wait("bob", "well") == 0


def test_many_slow_tenants_get_one_place_each_of_the_last(world: _World) -> None:
    """This is the bound: as many tenants as the last reserve has places, beside a busy one."""
    for n in range(10):
        world.begin("alice", f"hangs-{n}", SET)

    assert [world.begin(f"slow-{n}", "hangs", ALL) for n in range(RESERVE)] == [1] * RESERVE
    assert world.wait("bob", "well") > 0


def test_slow_tenants_come_to_equal_shares(world: _World) -> None:
    """Places that a tenant had beyond its share are free for others as its attempts end."""
    with world.running:
        for n in range(10):
            world.begin("alice", f"hangs-{n}", SET)
    for n in range(ALL - RESERVE):
        world.begin(f"slow-{n}", "hangs", 1)

    assert world.begin("alice", "hangs", ALL) == 1
    assert world.wait("bob", "well") == 0


def test_a_place_is_free_when_its_attempt_ended(world: _World) -> None:
    """Also when the attempt raised something."""
    for _ in range(10 * ALL):
        with (
            contextlib.suppress(ArithmeticError),
            world.bulkhead.place(Receiver("alice", "https://h.example/")) as wait,
        ):
            assert wait == 0
            raise ArithmeticError

    assert world.begin("alice", "hangs", ALL) == SET


def test_delayed_callbacks_come_back_one_after_another(world: _World) -> None:
    """By how long the running ones have taken, and within five minutes; so they ask rarely."""
    world.begin("alice", "hangs", SET)
    waits = [world.wait("alice", "hangs") for _ in range(2000)]

    assert waits[0] <= 1
    assert sum(wait < LONGEST / 2 for wait in waits) < len(waits) / 4
    assert max(waits) <= LONGEST


def test_a_fast_callback_waits_for_a_fast_one(eventually: Eventually) -> None:
    """It is not delayed by seconds, nor is Redis asked, where a place is free in a moment."""
    world = _World(patience=30)
    gate = threading.Event()

    def attempt() -> float:
        with world.bulkhead.place(Receiver("alice", "https://fast.example/")) as wait:
            gate.wait(30)
            return wait

    with ThreadPoolExecutor(ALL) as pool, world.running:
        first = [world.wait("alice", "fast") for _ in range(SET)]
        waiting = [pool.submit(attempt) for _ in range(ALL - SET)]
        eventually(lambda: all(future.running() for future in waiting))
        world.running.close()
        gate.set()

        assert first == [0] * SET
        assert [future.result() for future in waiting] == [0] * (ALL - SET)


@pytest.mark.parametrize("url", ["", "http://[::1", "nothing"])
def test_a_url_that_is_none_has_a_place(world: _World, url: str) -> None:
    """Whatever stands in the record, the attempt is made, and tells what is wrong."""
    with world.bulkhead.place(Receiver("alice", url)) as wait:
        assert wait == 0


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)])
def test_videos_leave_half_of_the_threads_to_images(concurrency: int, most: int) -> None:
    """One that finds no place is told so at once, and each end makes room for another."""
    places = VideoPlaces(concurrency)
    with contextlib.ExitStack() as running:
        began = [running.enter_context(places.place()) for _ in range(most + 2)]
        assert began == [True] * most + [False] * 2

    with places.place() as admitted:
        assert admitted


def test_a_copy_that_fails_gives_its_place_back() -> None:
    """Its error goes on to whoever handles it."""
    places = VideoPlaces(1)

    with pytest.raises(ArithmeticError), places.place():
        raise ArithmeticError

    with places.place() as admitted:
        assert admitted
