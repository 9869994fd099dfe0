"""Dead letters: listed in the step that makes them, gone when nothing is left to send again."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from core.errors import BacklogFull, CannotSendAgain
from core.jobs.failures import DEAD_LETTER, FailureCode
from core.jobs.job import JobId
from core.jobs.status import TERMINAL, CallbackState, Status, Step
from core.operations.dead_letter_list import Cursor, Kind, LetterFilter
from core.operations.dead_letters import DeadLetters
from core.redis.change import Change
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from tests.contract.jobs import Clock, accept

A = JobId("0001")
URL = "https://example.com/"
MakeStore = Callable[..., JobStore]


@pytest.fixture
def store(store_with: MakeStore) -> JobStore:
    """Return a store whose time the test sets, and whose sweep lease is taken."""
    made = store_with(job_ttl_seconds="1000", callback_give_up_seconds="500", require_aof="no")
    assert made.take_sweep_lease("token", 60)
    return made


@pytest.fixture
def letters(store: JobStore, worker_settings: Settings) -> DeadLetters:
    """Return the dead letters of that store."""
    return DeadLetters(store, ObjectStore("pictures"), worker_settings)


def fail(store: JobStore, *names: str, code: FailureCode = FailureCode.LOST) -> None:
    """Have jobs fail."""
    for name in names:
        assert store.fail(JobId(name), code, "a test")


def give_up(store: JobStore, name: str, state: CallbackState = CallbackState.DEAD) -> None:
    """Settle the callback of an ended job."""
    change = Change(set={"callback_state": state}, done=[Step.NOTIFY])
    assert store.change(JobId(name), TERMINAL, change)


def listed(letters: DeadLetters, **wanted: Any) -> list[str]:
    """Return the letters on the first page."""
    page = letters.page(LetterFilter(**wanted), 100)
    assert page.cursor is None
    return [f"{letter.kind}:{letter.about.id}" for letter in page.letters]


def traces(client: "redis.Redis") -> list[str]:
    """Return everything that is kept of dead letters beside records."""
    keys = [str(key) for key in client.keys("dead*")]
    kept = [f"{key} {member!s}" for key in keys for member in client.zrange(key, 0, -1)]
    return kept + [str(due) for due in client.zrange("due", 0, -1) if str(due).startswith("forget")]


@pytest.mark.parametrize("code", FailureCode)
def test_a_failure_that_is_not_the_callers_own_is_listed(
    store: JobStore, letters: DeadLetters, clock: Clock, code: FailureCode
) -> None:
    """The lists of the tenant and of the operator have it from the moment of the failure."""
    accept(store, A)
    clock.now += 7.25
    fail(store, A, code=code)

    expected = [f"job:{A}"] if code in DEAD_LETTER else []
    assert listed(letters, tenant="demo") == listed(letters) == expected
    assert [letter.at for letter in letters.page(LetterFilter(), 9).letters] == [clock.now] * len(
        expected
    )


def test_a_success_is_not_listed(
    store: JobStore, letters: DeadLetters, redis_client: "redis.Redis"
) -> None:
    """A job that ended well, and a callback that was taken, leave no trace."""
    accept(store, A, callback_url=URL)
    store.move(A, Status.STORING)
    store.move(A, Status.SUCCEEDED)
    give_up(store, A, CallbackState.DELIVERED)

    assert listed(letters) == traces(redis_client) == []


def test_a_callback_that_was_given_up_is_listed(store: JobStore, letters: DeadLetters) -> None:
    """It stands beside its job's own letter; taken after all, it leaves."""
    accept(store, A, callback_url=URL)
    fail(store, A)
    give_up(store, A)
    assert listed(letters) == [f"callback:{A}", f"job:{A}"]

    give_up(store, A, CallbackState.DELIVERED)

    assert listed(letters) == [f"job:{A}"]


def test_filters(store: JobStore, letters: DeadLetters) -> None:
    """Tenant, kind and failure code choose what is listed."""
    accept(store, "1", callback_url=URL)
    accept(store, "2", tenant="other")
    fail(store, "1", code=FailureCode.CONTENT_MODERATED)
    fail(store, "2", code=FailureCode.TIMED_OUT)
    give_up(store, "1")

    assert listed(letters, tenant="other") == listed(letters, kind=Kind.JOB) == ["job:2"]
    assert listed(letters, tenant="demo") == listed(letters, kind=Kind.CALLBACK) == ["callback:1"]
    assert listed(letters, code=FailureCode.TIMED_OUT) == ["job:2"]
    assert listed(letters, tenant="demo", code=FailureCode.TIMED_OUT) == []
    assert listed(letters, tenant="nobody") == []


@pytest.mark.parametrize("apart", [0.0, 1.5])
def test_pages_hold_each_letter_once_while_new_ones_come(
    store: JobStore, letters: DeadLetters, clock: Clock, apart: float
) -> None:
    """Oldest first, none twice and none left out, also where many died at the same moment."""
    names = [f"{number:04d}" for number in range(130)]
    accept(store, *names)
    for name in names[:120]:
        fail(store, name)
        clock.now += apart
    seen: list[str] = []
    cursor: Cursor | None = None
    late = iter(names[120:])
    while True:
        page = letters.page(LetterFilter(tenant="demo"), 50, cursor)
        seen += [letter.about.id for letter in page.letters]
        if page.cursor is None:
            break
        cursor = Cursor.parse(str(page.cursor))
        fail(store, next(late))

    assert seen == names[:122]


def test_a_page_costs_what_is_looked_at(letters: DeadLetters, redis_client: "redis.Redis") -> None:
    """A filter that nothing fits ends a page after a thousand letters, with a cursor to go on."""
    redis_client.zadd("dead:demo", {f"job:{number:05d}": number for number in range(1500)})

    page = letters.page(LetterFilter(tenant="demo"), 10)

    assert (page.letters, page.cursor) == ((), Cursor(999.0, "job:00999"))
    assert letters.page(LetterFilter(tenant="demo"), 10, page.cursor).cursor is None


@pytest.mark.parametrize("text", ["", "_", "1", "x_job:1", "nan_job:1", "inf_job:1", "1_"])
def test_a_cursor_that_is_none(text: str) -> None:
    """What is no cursor is refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - of a parser's own kind, message or not
        Cursor.parse(text)


def test_letters_go_with_their_record(
    store: JobStore, letters: DeadLetters, redis_client: "redis.Redis", clock: Clock
) -> None:
    """When the record has expired the next sweep leaves nothing; before, it changes nothing."""
    accept(store, A, callback_url=URL)
    fail(store, A)
    give_up(store, A)
    kept = traces(redis_client)
    assert len(kept) == 6

    clock.now += 10_000
    store.sweep("token", 60)
    assert traces(redis_client) == kept
    redis_client.delete(f"job:{A}")  # as when its time is over
    assert listed(letters) == []
    clock.now += 10_000
    store.sweep("token", 60)

    assert traces(redis_client) == []
    assert not redis_client.exists(f"job:{A}")


def test_a_dismissed_letter_is_gone(
    store: JobStore, letters: DeadLetters, redis_client: "redis.Redis"
) -> None:
    """Only the letter is: the job can still be read. A second time there is nothing to do."""
    accept(store, A)
    fail(store, A)
    (letter,) = letters.page(LetterFilter(), 1).letters

    assert [letters.dismiss(letter), letters.dismiss(letter)] == [True, False]

    assert traces(redis_client) == []
    assert store.load(A) == letter.job


def test_a_callback_is_sent_again(
    store: JobStore, letters: DeadLetters, redis_client: "redis.Redis", clock: Clock
) -> None:
    """It is owed anew, from now on, leaves the list, and its record lives as long as it is owed."""
    accept(store, A, callback_url=URL)
    store.move(A, Status.FAILED)
    store.change(A, TERMINAL, Change(set={"callback_attempts": 4}))
    for state in (CallbackState.DEAD, CallbackState.DELIVERED):
        give_up(store, A, state)
        redis_client.delete("rq:queue:notify")
        redis_client.expire(f"job:{A}", 20)
        clock.now += 600

        letters.resend(_load(store))

        job = _load(store)
        assert job.callback_state is CallbackState.PENDING
        assert (job.callback_from, job.callback_before) == (clock.now, 4)
        assert redis_client.llen("rq:queue:notify") == 1
        assert int(redis_client.ttl(f"job:{A}")) > 500
        assert traces(redis_client) == []


def test_a_callback_that_is_owed_anyway_is_sent_sooner(
    store: JobStore, letters: DeadLetters, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Its next attempt is due now, and nothing else about it changes."""
    accept(store, A, callback_url=URL)
    fail(store, A, code=FailureCode.INVALID_INPUT)
    store.change(A, TERMINAL, Change(due={Step.NOTIFY: clock.now + 400}))
    before = _load(store)

    letters.resend(before)

    assert _load(store) == before
    assert redis_client.zscore("due", f"notify:{A}") == clock.now


def test_what_makes_no_sense_is_refused(store: JobStore, letters: DeadLetters) -> None:
    """Neither a job that did not fail nor a callback that is not owed is sent again."""
    accept(store, A)
    accept(store, "2", callback_url=URL)
    with pytest.raises(CannotSendAgain, match="submitting"):
        letters.retry(_load(store))
    with pytest.raises(CannotSendAgain, match="no callback"):
        letters.resend(_load(store))
    with pytest.raises(CannotSendAgain, match="when it ends"):
        letters.resend(_load(store, "2"))
    fail(store, A, "2")
    gone, untold = _load(store), _load(store, "2")
    store.read("delete", f"job:{A}", "job:2")
    with pytest.raises(CannotSendAgain, match="no longer kept"):
        letters.retry(gone)
    with pytest.raises(CannotSendAgain, match="no longer kept"):
        letters.resend(untold)


def test_a_full_backlog_takes_no_job_that_is_sent_again(
    store_with: MakeStore, worker_settings: Settings
) -> None:
    """It is refused like a new one, and stays on the list."""
    store = store_with(max_backlog="1", slots="1")
    accept(store, A)
    fail(store, A)
    accept(store, "2", "3")
    letters = DeadLetters(store, ObjectStore("pictures"), worker_settings)

    with pytest.raises(BacklogFull):
        letters.retry(_load(store))

    assert listed(letters) == [f"job:{A}"]


def _load(store: JobStore, name: str = A) -> Any:
    job = store.load(JobId(name))
    assert job
    return job
