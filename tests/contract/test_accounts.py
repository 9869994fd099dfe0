"""Jobs on several accounts: who makes them, and what a refused account does to them."""

import json
from collections.abc import Callable

import pytest
import redis

from core.jobs.job import JobId
from core.jobs.status import Status
from core.operations.account_status import AccountRegistry
from core.provider.accounts import accounts as parse
from core.redis.change import Change
from core.redis.store import JobStore
from core.settings.settings import SERVICE, Settings
from tests.contract.jobs import Clock, accept, standing

ACCOUNTS = json.dumps(
    [
        {"name": "main", "slots": "2"},
        {"name": "europe", "region": "eu", "slots": "1"},
        {"name": "america", "region": "us", "slots": "1"},
    ]
)
GOOD = {
    "FLUXRELAY_WEBHOOK_SECRET": "m" * 32,
    "FLUXRELAY_API_KEYS": "demo:a-key-of-16-chars",
    "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:6379/0",
    "FLUXRELAY_S3_BUCKET": "pictures",
    "FLUXRELAY_SLOTS": "4",
}
KEYS = ("MAIN", "EUROPE", "AMERICA")
SUBMITTING, QUEUED = Status.SUBMITTING, Status.QUEUED


@pytest.fixture
def store(store_with: Callable[..., JobStore], monkeypatch: pytest.MonkeyPatch) -> JobStore:
    """Return a store with three accounts."""
    del monkeypatch
    return store_with(accounts=ACCOUNTS)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Add the accounts' keys."""
    return environment | {f"BFL_API_KEY_{name}": "provider-key" for name in KEYS}


@pytest.fixture
def book(store: JobStore) -> AccountRegistry:
    """Return the book of the three accounts."""
    return AccountRegistry(store, parse(ACCOUNTS))


def _pool(store: JobStore, name: str) -> str | None:
    job = store.load(JobId(name))
    assert job is not None
    return job.pool


def test_the_first_account_with_a_free_slot_is_taken(store: JobStore) -> None:
    """Accounts are filled in their order, and then jobs wait."""
    accept(store, "1", "2", "3", "4", "5")

    pools = [_pool(store, name) for name in "12345"]
    assert pools == ["main", "main", "europe", "america", None]


def test_a_pinned_job_waits_for_its_region(store: JobStore) -> None:
    """It takes no slot elsewhere, though some are free, and gets the next one of its region."""
    accept(store, "1", "2", region="eu")
    accept(store, "3")

    assert [_pool(store, name) for name in "123"] == ["europe", None, "main"]
    store.move(JobId("1"), Status.FAILED)
    assert _pool(store, "2") == "europe"


def test_an_account_that_rests_is_passed_over(store: JobStore) -> None:
    """On an outage of the first account the next one makes the job that came back."""
    accept(store, "1")

    store.move(JobId("1"), QUEUED, Change(pause=("main", 60, "away")))

    assert _pool(store, "1") == "europe"


def test_a_refused_account_makes_nothing_until_it_is_served_again(
    store: JobStore, book: AccountRegistry, clock: Clock
) -> None:
    """Its job waits, nothing fails, and the slots are granted in the moment that it is cleared."""
    for account in ("europe", "america"):
        book.record_check(account, credits_left=0, refused="402", check_at=clock.now + 60)
    accept(store, "1", "2", "3")

    store.move(JobId("1"), QUEUED, Change(refuse=("main", clock.now + 15, "402 no credits")))
    assert standing(store, "1 2 3", QUEUED) == "1 3"
    assert book.states()["main"]["refused"] == "402 no credits"

    resumed = book.record_check("main", credits_left=12.5, refused=None, check_at=clock.now + 60)
    assert resumed is True
    assert standing(store, "1 2 3", SUBMITTING) == "1 2"
    nothing = dict.fromkeys(("refused", "paused", "paused_until", "ceiling", "ceiling_until"))
    assert book.states()["main"] == {**nothing, "credits": "12.5"}


def test_a_refused_account_is_looked_at_in_time(
    store: JobStore, book: AccountRegistry, clock: Clock, redis_client: "redis.Redis"
) -> None:
    """The sweep enqueues the check when it is due, again and again until it is done."""
    assert store.take_sweep_lease("token", 600)
    accept(store, "1")
    store.move(JobId("1"), QUEUED, Change(refuse=("main", clock.now + 15, "403 bad key")))

    store.sweep("token", 600)
    assert redis_client.llen("rq:queue:submit") == 2  # job 1 on main, then on europe
    clock.now += 16
    store.sweep("token", 600)

    assert str(redis_client.lindex("rq:queue:submit", -1)).startswith("main-account-")
    clock.now += 100
    store.sweep("token", 600)
    assert redis_client.llen("rq:queue:submit") == 3  # it waits still: no second one beside it
    redis_client.rpop("rq:queue:submit")  # a worker took it, and died
    clock.now += 100
    store.sweep("token", 600)
    assert str(redis_client.lindex("rq:queue:submit", -1)).startswith("main-account-")
    book.unschedule_check("main")
    assert redis_client.zscore("due", "account:main") is None


def test_every_account_is_watched_from_the_start_but_no_sooner_than_due(
    book: AccountRegistry, clock: Clock, redis_client: "redis.Redis"
) -> None:
    """Watching again, as each worker's start does, changes no time that is set."""
    book.schedule_checks()
    clock.now += 50
    book.schedule_checks()

    times = {name: redis_client.zscore("due", f"account:{name}") for name in ("main", "america")}
    assert times == {"main": clock.now - 50, "america": clock.now - 50}


def test_jobs_of_a_lane_that_is_no_more_are_adopted(
    store_with: Callable[..., JobStore],
) -> None:
    """A job whose lane the new settings do not know waits in the right one after that."""
    before = store_with(slots="4,flux-pro-1.1=1")
    accept(before, "1", "2")
    after = store_with(slots="4")
    assert _pool(after, "2") is None

    default = Settings.from_env(GOOD, SERVICE).accounts
    assert AccountRegistry(after, default).adopt() == 1
    accept(after, "3", model="flux-kontext-pro")

    assert [_pool(after, name) for name in "123"] == ["default"] * 3
    assert AccountRegistry(after, default).adopt() == 0
