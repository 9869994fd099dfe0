"""A callback comes to its end, whatever its attempts, or the step itself, fail with."""

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import CallbackState, Status, Step
from core.operations.dead_letter_list import Kind, LetterFilter
from core.operations.dead_letters import DeadLetters
from tests.contract.harness import A, Bench
from worker.clients.callbacks import CallbackClient
from worker.deps import Deps
from worker.steps.notify import notify
from worker.tasks import run

DAY = 86_400.0
#: URLs that were accepted once, or stand in a record by mistake, and that no client can call.
UNCALLABLE = (
    "http://xn--n3h.net/x",
    "http://xn--a.example/",
    "https://xn--zzzzzzzzz.example/hook",
    "http://[::1",
    "http://h:x/",
    "ftp://h.example/",
    "http://\udcff.example/",
    "http://h.example/\x00",
    "http://",
)
#: A field of the record, and a value of it with which neither form of the message can be made.
DAMAGE = (
    ("error", '{"message": "no code"}', "https://relay.example"),
    ("error", "[1]", "https://relay.example"),
    ("error", '{"code": "lost"}', "https://relay.example"),
    ("callback_log", '[{"status": 500}]', None),
    ("callback_log", '[{"at": "noon"}]', None),
    ("image", '{"key": "k"}', None),
)


@pytest.fixture
def owed(bench: Bench) -> Callable[..., Bench]:
    """Return a function that has a job end which owes a callback."""

    def accept(url: str, **fields: Any) -> Bench:
        bench.accept(callback_url=url, **fields)
        assert bench.store.fail(A, FailureCode.LOST, "for the test")
        return bench

    return accept


def _letters(bench: Bench) -> list[str]:
    letters = DeadLetters(bench.store, bench.deps.objects, bench.deps.settings)
    page = letters.page(LetterFilter(kind=Kind.CALLBACK), 10)
    return [letter.about.id for letter in page.letters]


def _state(bench: Bench) -> str:
    """Return how far the caller has been told, also where the record cannot be read."""
    return bench.store.fields(A, "callback_state")[0]


def _crash(_job_id: JobId, _deps: Deps) -> None:
    raise ArithmeticError


def _crashes(bench: Bench, step: Step, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ArithmeticError):
            run(step, _crash, A, bench.deps)


@pytest.mark.parametrize("url", UNCALLABLE)
def test_a_url_that_cannot_be_called_ends_its_callback(
    owed: Callable[..., Bench], url: str
) -> None:
    """The one attempt is in the log, with its kind, and the callback is a dead letter."""
    bench = owed(url)

    run(Step.NOTIFY, notify, A, bench.deps)

    assert _state(bench) == CallbackState.DEAD
    (entry,) = bench.job.callback_log
    assert entry["error"]
    assert bench.due_in(Step.NOTIFY) is None
    assert _letters(bench) == [A]


@pytest.mark.parametrize("body", [object(), 1, 1.5])
def test_whatever_an_attempt_raises_is_how_it_went(ssl_context: ssl.SSLContext, body: Any) -> None:
    """An error of no foreseen kind is an outcome with its name, to be tried again."""
    client = CallbackClient(allowed=[], timeout=1, connections=1, ssl_context=ssl_context)

    delivery = client.post("http://h.example/", body, {})

    assert (delivery.error, delivery.final) == ("TypeError", False)


@pytest.mark.parametrize(("field", "value", "origin"), DAMAGE)
def test_a_message_that_cannot_be_made_is_an_attempt(
    *, owed: Callable[..., Bench], field: str, value: str, origin: str | None
) -> None:
    """It is in the log, it is tried again, and it is given up after a day, without a crash."""
    bench = owed("http://127.0.0.1:1/callback", **({"origin": origin} if origin else {}))
    bench.redis.hset(f"job:{A}", field, value)
    run(Step.NOTIFY, notify, A, bench.deps)
    assert _state(bench) == CallbackState.PENDING
    assert "could not build the callback" in bench.job.callback_log[-1]["error"]
    assert 0 < (bench.due_in(Step.NOTIFY) or 0) < 10
    bench.clock.now += DAY

    run(Step.NOTIFY, notify, A, bench.deps)

    assert _state(bench) == CallbackState.DEAD
    assert _letters(bench) == [A]


def test_ten_crashes_end_a_callback(owed: Callable[..., Bench]) -> None:
    """Nine times it is due again; the tenth makes it a dead letter, and its log says why."""
    bench = owed("http://127.0.0.1:1/callback")
    _crashes(bench, Step.NOTIFY, 9)
    assert _state(bench) == CallbackState.PENDING
    assert 0 < (bench.due_in(Step.NOTIFY) or 0) <= 1

    _crashes(bench, Step.NOTIFY, 1)

    assert _state(bench) == CallbackState.DEAD
    assert "internal error" in bench.job.callback_log[-1]["error"]
    assert bench.due_in(Step.NOTIFY) is None
    assert bench.job.status is Status.FAILED
    assert _letters(bench) == [A]


@pytest.mark.parametrize("field", ["seed", "callback_attempts", "margin"])
def test_a_record_that_cannot_be_read_ends_its_callback(
    owed: Callable[..., Bench], field: str
) -> None:
    """What decides the end does not read what the step crashes at."""
    bench = owed("http://127.0.0.1:1/callback")
    bench.redis.hset(f"job:{A}", field, "no number")

    for _ in range(10):
        with pytest.raises(ValueError, match="no number"):
            run(Step.NOTIFY, notify, A, bench.deps)

    assert _state(bench) == CallbackState.DEAD
    assert bench.due_in(Step.NOTIFY) is None


def test_crashes_of_other_steps_do_not_count(bench: Bench) -> None:
    """A job whose submit crashed nine times has a callback that may crash nine times more."""
    bench.accept(callback_url="http://127.0.0.1:1/callback")
    _crashes(bench, Step.SUBMIT, 9)
    assert bench.store.fail(A, FailureCode.LOST, "for the test")

    _crashes(bench, Step.NOTIFY, 9)

    assert _state(bench) == CallbackState.PENDING


def test_a_callback_that_was_delivered_stays_so(owed: Callable[..., Bench]) -> None:
    """A twin that crashes for the tenth time takes nothing back."""
    bench = owed("http://127.0.0.1:1/callback")
    _crashes(bench, Step.NOTIFY, 9)
    bench.redis.hset(f"job:{A}", "callback_state", CallbackState.DELIVERED)

    _crashes(bench, Step.NOTIFY, 1)

    assert _state(bench) == CallbackState.DELIVERED
    assert _letters(bench) == []


def test_a_callback_that_is_sent_again_may_crash_as_often(owed: Callable[..., Bench]) -> None:
    """Sent again after its tenth crash it begins anew."""
    bench = owed("http://127.0.0.1:1/callback")
    _crashes(bench, Step.NOTIFY, 10)
    DeadLetters(bench.store, bench.deps.objects, bench.deps.settings).resend(bench.job)

    _crashes(bench, Step.NOTIFY, 9)

    assert _state(bench) == CallbackState.PENDING
