"""A receiver that does not answer is left alone; the others are not held up."""

import math
import random

import pytest

from worker.clients.receiver import Receiver
from worker.clients.receiver_breakers import ReceiverBreakers

URL = Receiver("alice", "https://slow.example/callback")
SAME_HOST = Receiver("alice", "https://slow.example/other")
SAME_URL_OF_ANOTHER = Receiver("bob", URL.url)
OTHER = Receiver("alice", "https://well.example/callback")
#: Failures that open a breaker, and the longest first rest in seconds.
ENOUGH, FIRST_REST, LONGEST_REST = 5, 2.0, 300.0


class _World:
    def __init__(self) -> None:
        self.now = 1000.0
        rng = random.Random(1)  # noqa: S311 - no secret
        self.breakers = ReceiverBreakers(attempt_seconds=15, clock=lambda: self.now, rng=rng)

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breakers.record_no_answer(URL)

    def trouble(self, times: int = 1) -> None:
        for _ in range(times):
            self.breakers.record_error(URL)


@pytest.fixture
def world() -> _World:
    """Return a world in which all receivers are well."""
    return _World()


def test_a_few_failures_change_nothing(world: _World) -> None:
    """A receiver may restart."""
    world.fail(ENOUGH - 1)

    assert world.breakers.wait(URL) == 0


def test_a_receiver_that_failed_often_is_left_alone(world: _World) -> None:
    """It rests, whatever the path; others are called as ever."""
    world.fail(ENOUGH)

    assert FIRST_REST / 2 <= world.breakers.wait(SAME_HOST) <= FIRST_REST
    assert world.breakers.wait(OTHER) == 0


def test_a_url_rests_for_as_long_as_it_asks(world: _World) -> None:
    """One answer is enough for that, a shorter wish takes nothing off, and a good one ends it."""
    world.breakers.record_pause(URL, 100)
    world.breakers.record_pause(URL, 10)

    assert world.breakers.wait(URL) == 100
    assert world.breakers.wait(SAME_HOST) == 0
    world.now += 100
    assert world.breakers.wait(URL) == 0
    world.breakers.record_pause(URL, 100)
    world.breakers.record_success(URL)
    assert world.breakers.wait(URL) == 0


@pytest.mark.parametrize("note", ["fail", "trouble"])
def test_a_receiver_rests_for_one_tenant_only(world: _World, note: str) -> None:
    """Another tenant's callbacks to the same host, or URL, are sent as ever."""
    getattr(world, note)(2 * ENOUGH)

    assert world.breakers.wait(URL) > 0
    assert world.breakers.wait(SAME_URL_OF_ANOTHER) == 0
    assert world.breakers.failed_ago(SAME_URL_OF_ANOTHER) == math.inf
    world.breakers.record_success(SAME_URL_OF_ANOTHER)
    assert world.breakers.wait(URL) > 0


def test_a_pause_holds_for_one_tenant_only(world: _World) -> None:
    """Whom a receiver asked to wait is the tenant that called it too often."""
    world.breakers.record_pause(URL, 100)

    assert world.breakers.wait(SAME_URL_OF_ANOTHER) == 0


def test_one_callback_at_a_time_finds_out(world: _World) -> None:
    """After the rest one may go; the next one waits for as long as that may take."""
    world.fail(ENOUGH)
    world.now += FIRST_REST

    assert world.breakers.wait(URL) == 0
    assert world.breakers.wait(URL) == 15
    world.now += 15
    assert world.breakers.wait(URL) == 0


def test_a_success_ends_it(world: _World) -> None:
    """All may go again, and the count begins anew."""
    world.fail(ENOUGH)
    world.now += FIRST_REST
    assert world.breakers.wait(URL) == 0

    world.breakers.record_success(URL)

    assert [world.breakers.wait(URL) for _ in range(3)] == [0, 0, 0]
    world.fail(ENOUGH - 1)
    assert world.breakers.wait(URL) == 0


def test_rests_grow_to_their_longest(world: _World) -> None:
    """Each try that fails makes the rest longer, up to five minutes."""
    world.fail(ENOUGH)
    rests = []
    for _ in range(12):
        rests.append(world.breakers.wait(URL))
        world.now += rests[-1]
        assert world.breakers.wait(URL) == 0
        world.fail()

    assert rests[1] > rests[0] / 2
    assert LONGEST_REST / 2 <= rests[-1] <= LONGEST_REST


def test_attempts_that_began_together_count_once(world: _World) -> None:
    """Sixteen threads that wait for one receiver are told together."""
    world.fail(ENOUGH + 16)

    assert world.breakers.wait(URL) <= FIRST_REST


def test_a_url_in_trouble_says_nothing_of_its_neighbours(world: _World) -> None:
    """An endpoint that answers 500 must not keep back callbacks to another one."""
    world.trouble(ENOUGH)

    assert FIRST_REST / 2 <= world.breakers.wait(URL) <= FIRST_REST
    assert world.breakers.wait(SAME_HOST) == 0


def test_a_host_that_answers_is_there(world: _World) -> None:
    """An answer of 500 ends the silence of the host, not the trouble of its URL."""
    world.fail(ENOUGH - 1)
    world.trouble()
    world.fail(ENOUGH - 1)

    assert world.breakers.wait(SAME_HOST) == 0
    world.trouble(ENOUGH)
    assert world.breakers.wait(URL) > 0


def test_a_url_that_waits_takes_no_turn_of_its_host(world: _World) -> None:
    """The one callback that finds out whether the host is back must be one that goes."""
    world.trouble(ENOUGH)
    world.now += FIRST_REST
    assert world.breakers.wait(URL) == 0
    world.trouble()
    world.fail(ENOUGH)
    assert world.breakers.wait(SAME_HOST) > 0
    world.now += FIRST_REST
    assert world.breakers.wait(URL) > 0

    assert world.breakers.wait(SAME_HOST) == 0


@pytest.mark.parametrize("note", ["record_no_answer", "record_error"])
def test_receivers_in_trouble_are_bounded(world: _World, note: str) -> None:
    """Callers can name any number of breakers and URLs; what is kept of them is bounded."""
    for _ in range(ENOUGH):
        getattr(world.breakers, note)(URL)
    for number in range(10_000):
        getattr(world.breakers, note)(Receiver("alice", f"https://h{number}.example/"))

    assert world.breakers.wait(URL) == 0


def test_the_time_of_the_last_failure_is_known(world: _World) -> None:
    """Counted from when that attempt began at the earliest; silence counts for the whole host."""
    assert world.breakers.failed_ago(URL) == math.inf

    world.fail()
    world.now += 10
    world.trouble()
    world.now += 5

    assert (world.breakers.failed_ago(URL), world.breakers.failed_ago(SAME_HOST)) == (20, math.inf)
    world.fail(ENOUGH)
    world.now += 1
    world.fail()  # begun before the breaker opened, but a failure all the same
    assert (world.breakers.failed_ago(URL), world.breakers.failed_ago(SAME_HOST)) == (15, 15)
    assert world.breakers.failed_ago(OTHER) == math.inf
    world.breakers.record_success(URL)
    assert world.breakers.failed_ago(URL) == math.inf
