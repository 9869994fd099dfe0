"""A receiver that does not answer is left alone; the others are not held up."""

import math
import random

import pytest

from worker.clients.receiver_breakers import HostBreakers

URL = "https://slow.example/callback"
SAME_HOST = "https://slow.example/other"
OTHER = "https://well.example/callback"
#: Failures that open a breaker, and the longest first rest in seconds.
ENOUGH, FIRST_REST, LONGEST_REST = 5, 2.0, 300.0


class _World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.hosts = HostBreakers(trying=15, clock=lambda: self.now, rng=random.Random(1))  # noqa: S311 - no secret

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.hosts.silent(URL)

    def trouble(self, times: int = 1) -> None:
        for _ in range(times):
            self.hosts.troubled(URL)


@pytest.fixture
def world() -> _World:
    """Return a world in which all receivers are well."""
    return _World()


def test_a_few_failures_change_nothing(world: _World) -> None:
    """A receiver may restart."""
    world.fail(ENOUGH - 1)

    assert world.hosts.wait(URL) == 0


def test_a_receiver_that_failed_often_is_left_alone(world: _World) -> None:
    """It rests, whatever the path; others are called as ever."""
    world.fail(ENOUGH)

    assert FIRST_REST / 2 <= world.hosts.wait(SAME_HOST) <= FIRST_REST
    assert world.hosts.wait(OTHER) == 0


def test_a_url_rests_for_as_long_as_it_asks(world: _World) -> None:
    """One answer is enough for that, a shorter wish takes nothing off, and a good one ends it."""
    world.hosts.asked_for_rest(URL, 100)
    world.hosts.asked_for_rest(URL, 10)

    assert world.hosts.wait(URL) == 100
    assert world.hosts.wait(SAME_HOST) == 0
    world.now += 100
    assert world.hosts.wait(URL) == 0
    world.hosts.asked_for_rest(URL, 100)
    world.hosts.passed(URL)
    assert world.hosts.wait(URL) == 0


def test_one_callback_at_a_time_finds_out(world: _World) -> None:
    """After the rest one may go; the next one waits for as long as that may take."""
    world.fail(ENOUGH)
    world.now += FIRST_REST

    assert world.hosts.wait(URL) == 0
    assert world.hosts.wait(URL) == 15
    world.now += 15
    assert world.hosts.wait(URL) == 0


def test_a_success_ends_it(world: _World) -> None:
    """All may go again, and the count begins anew."""
    world.fail(ENOUGH)
    world.now += FIRST_REST
    assert world.hosts.wait(URL) == 0

    world.hosts.passed(URL)

    assert [world.hosts.wait(URL) for _ in range(3)] == [0, 0, 0]
    world.fail(ENOUGH - 1)
    assert world.hosts.wait(URL) == 0


def test_rests_grow_to_their_longest(world: _World) -> None:
    """Each try that fails makes the rest longer, up to five minutes."""
    world.fail(ENOUGH)
    rests = []
    for _ in range(12):
        rests.append(world.hosts.wait(URL))
        world.now += rests[-1]
        assert world.hosts.wait(URL) == 0
        world.fail()

    assert rests[1] > rests[0] / 2
    assert LONGEST_REST / 2 <= rests[-1] <= LONGEST_REST


def test_attempts_that_began_together_count_once(world: _World) -> None:
    """Sixteen threads that wait for one receiver are told together."""
    world.fail(ENOUGH + 16)

    assert world.hosts.wait(URL) <= FIRST_REST


def test_a_url_in_trouble_says_nothing_of_its_neighbours(world: _World) -> None:
    """Tenants share hosts: one's answers of 500 must not keep another's callbacks back."""
    world.trouble(ENOUGH)

    assert FIRST_REST / 2 <= world.hosts.wait(URL) <= FIRST_REST
    assert world.hosts.wait(SAME_HOST) == 0


def test_a_host_that_answers_is_there(world: _World) -> None:
    """An answer of 500 ends the silence of the host, not the trouble of its URL."""
    world.fail(ENOUGH - 1)
    world.trouble()
    world.fail(ENOUGH - 1)

    assert world.hosts.wait(SAME_HOST) == 0
    world.trouble(ENOUGH)
    assert world.hosts.wait(URL) > 0


def test_a_url_that_waits_takes_no_turn_of_its_host(world: _World) -> None:
    """The one callback that finds out whether the host is back must be one that goes."""
    world.trouble(ENOUGH)
    world.now += FIRST_REST
    assert world.hosts.wait(URL) == 0
    world.trouble()
    world.fail(ENOUGH)
    assert world.hosts.wait(SAME_HOST) > 0
    world.now += FIRST_REST
    assert world.hosts.wait(URL) > 0

    assert world.hosts.wait(SAME_HOST) == 0


@pytest.mark.parametrize("note", ["silent", "troubled"])
def test_receivers_in_trouble_are_bounded(world: _World, note: str) -> None:
    """Callers can name any number of hosts and URLs; what is kept of them is bounded."""
    for _ in range(ENOUGH):
        getattr(world.hosts, note)(URL)
    for number in range(10_000):
        getattr(world.hosts, note)(f"https://h{number}.example/")

    assert world.hosts.wait(URL) == 0


def test_the_time_of_the_last_failure_is_known(world: _World) -> None:
    """Counted from when that attempt began at the earliest; silence counts for the whole host."""
    assert world.hosts.failed_ago(URL) == math.inf

    world.fail()
    world.now += 10
    world.trouble()
    world.now += 5

    assert (world.hosts.failed_ago(URL), world.hosts.failed_ago(SAME_HOST)) == (20, math.inf)
    world.fail(ENOUGH)
    world.now += 1
    world.fail()  # begun before the breaker opened, but a failure all the same
    assert (world.hosts.failed_ago(URL), world.hosts.failed_ago(SAME_HOST)) == (15, 15)
    assert world.hosts.failed_ago(OTHER) == math.inf
    world.hosts.passed(URL)
    assert world.hosts.failed_ago(URL) == math.inf
