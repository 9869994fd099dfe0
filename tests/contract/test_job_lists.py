"""Lists of jobs: what is on a page, and what jobs do between two pages."""

from collections.abc import Callable

import pytest
import redis

from core.jobs.index_names import metadata_index, model_index
from core.jobs.job import JobId
from core.jobs.status import NEXT, Status
from core.operations.job_lists import JobFilter
from core.redis.store import JobStore
from tests.contract.jobs import Clock
from tests.contract.listed_jobs import Listed

OTHER = "flux-dev"
KONTEXT = "flux-kontext-pro"
BATCH = "01a1feec-e663-77f8-ba48-1ab172ecb481"


@pytest.fixture
def listed(
    store_with: Callable[..., JobStore], clock: Clock, redis_client: "redis.Redis"
) -> Listed:
    """Return an empty store whose pool is paused: a job moves only if the test moves it."""
    store = store_with(indexed_metadata="order,paid", job_ttl_seconds="1000")
    redis_client.set("pool:default:paused", "a test")
    return Listed(store, clock)


def test_all_jobs_are_listed_with_the_newest_first(listed: Listed) -> None:
    """Jobs of every status are on the pages once, in the order of their acceptance, backwards."""
    made = [listed.job(status) for _ in range(3) for status in Status]

    assert listed.all() == made[::-1]
    assert listed.all(limit=4) == made[::-1]
    assert listed.all(limit=1) == made[::-1]


def test_the_last_page_has_no_cursor(listed: Listed) -> None:
    """A page that is just full is the last one if no job is older, and says so."""
    listed.jobs(4)

    first = listed.page(2)
    assert first.cursor is not None
    assert listed.page(2, first.cursor).cursor is None
    assert listed.page(4).cursor is None
    assert listed.page(3).cursor is not None


def test_jobs_are_listed_by_status(listed: Listed) -> None:
    """One status admits its jobs alone, two those of both."""
    made = {status: listed.jobs(2, status) for status in Status}

    for status in Status:
        assert listed.all(limit=1, statuses=frozenset({status})) == made[status]
    both = frozenset({Status.FAILED, Status.QUEUED})
    assert listed.all(limit=3, statuses=both) == [*made[Status.FAILED], *made[Status.QUEUED]]


@pytest.mark.parametrize(
    ("before", "after"),
    [(before, after) for before, allowed in NEXT.items() for after in sorted(allowed)],
)
def test_every_move_changes_the_index(listed: Listed, before: Status, after: Status) -> None:
    """A job is listed with its new status, and with no other any more."""
    job_id = listed.job(before)

    assert listed.store.move(job_id, after)

    for status in Status:
        found = listed.all(statuses=frozenset({status}))
        assert found == ([job_id] if status is after else [])


def test_filters_go_together(listed: Listed) -> None:
    """A job is listed only if every filter admits it, whichever index is the shortest."""
    listed.jobs(5, Status.SUCCEEDED)
    few = listed.jobs(2, Status.SUCCEEDED, model=KONTEXT, metadata={"order": "7"})
    listed.jobs(3, model=KONTEXT, metadata={"order": "7"})
    listed.jobs(3, model=OTHER, metadata={"order": "7", "paid": True})

    ended = frozenset({Status.SUCCEEDED})
    assert listed.all(limit=1, statuses=ended, model=KONTEXT) == few
    assert listed.all(limit=1, statuses=ended, metadata={"order": "7"}) == few
    assert listed.all(model=KONTEXT, metadata={"order": "7"}, statuses=ended) == few
    assert listed.all(model=KONTEXT, metadata={"order": "7", "paid": "true"}) == []
    assert len(listed.all(model=OTHER, metadata={"order": "7", "paid": "true"})) == 3
    assert listed.all(model=OTHER, metadata={"order": "8"}) == []


def test_values_of_metadata_are_compared_as_text(listed: Listed) -> None:
    """A number and the text of the same digits are equal; what is no plain value is not indexed."""
    number, text = listed.job(metadata={"order": 7}), listed.job(metadata={"order": "7"})
    yes = listed.job(metadata={"paid": True})
    listed.job(metadata={"order": ["7"], "paid": None})
    listed.job(metadata={"other": "7"})

    assert listed.all(metadata={"order": "7"}) == [text, number]
    assert listed.all(metadata={"paid": "true"}) == [yes]


def test_jobs_are_listed_by_the_time_in_their_ids(listed: Listed) -> None:
    """The first time is included, the second is not, to the millisecond."""
    third, second, first = listed.jobs(3)
    at = int(listed.clock.now * 1000)

    assert listed.all(created_after=at - 1000) == [third, second]
    assert listed.all(created_after=at - 999) == [third]
    assert listed.all(created_before=at - 1000) == [first]
    assert listed.all(limit=1, created_after=at - 2000, created_before=at) == [second, first]
    assert listed.all(created_after=at, created_before=at) == []
    assert listed.all(created_after=at, created_before=at - 2000) == []


def test_tenants_do_not_see_each_others_jobs(listed: Listed, redis_client: "redis.Redis") -> None:
    """A tenant's list has its own jobs, even of a batch that holds others."""
    own, foreign = listed.job(), listed.job(tenant="other")
    redis_client.zadd(f"batch:{BATCH}:jobs", {own: 0, foreign: 0})

    assert listed.all() == [own]
    assert listed.all(tenant="other") == [foreign]
    assert listed.all(batch=BATCH) == [own]


def test_a_job_that_moves_between_pages_is_neither_doubled_nor_missed(listed: Listed) -> None:
    """Jobs that end, start or begin while the pages are read stand where they stood."""
    made = listed.jobs(6)
    first = listed.page(2)
    assert [job.id for job in first.jobs] == made[:2]

    # One that was seen, the one that the cursor names, and one that is still to come.
    for job_id in (made[0], made[1], made[2]):
        assert listed.store.move(job_id, Status.FAILED)
    assert listed.store.move(made[4], Status.SUBMITTING)
    newer = listed.job()
    second = listed.page(3, first.cursor)
    assert listed.store.move(made[5], Status.CANCELED)
    third = listed.page(3, second.cursor)

    assert [job.id for page in (second, third) for job in page.jobs] == made[2:]
    assert listed.all() == [newer, *made]


def test_a_cursor_survives_the_job_that_it_names(
    listed: Listed, redis_client: "redis.Redis"
) -> None:
    """The next page begins where it would have if the record had not expired."""
    made = listed.jobs(5, Status.SUCCEEDED)
    first = listed.page(2)
    redis_client.delete(f"job:{made[1]}", f"job:{made[3]}")

    rest = listed.page(2, first.cursor)

    assert [job.id for job in rest.jobs] == [made[2], made[4]]
    assert rest.cursor is None


def test_a_page_looks_at_a_bounded_number_of_jobs(
    listed: Listed, redis_client: "redis.Redis"
) -> None:
    """Where filters skip more jobs than that, a page is empty, and says where to go on."""
    wanted = listed.job(model=OTHER, metadata={"order": "1"})
    newer = {f"{listed.clock.now:.0f}-{number:05}": 0 for number in range(1500)}
    for name in ("status:queued", model_index(OTHER), metadata_index("order", "1")):
        # Another job's record stands behind each: none of them is of this tenant.
        redis_client.zadd(f"jobs:demo:{name}", newer)
    with redis_client.pipeline() as pipeline:
        for name in newer:
            pipeline.hset(f"job:{name}", mapping={"status": "queued", "tenant": "other"})
        pipeline.execute()

    page = listed.page(model=OTHER, metadata={"order": "1"})
    assert (page.jobs, page.cursor is None) == ((), False)
    rest = listed.page(cursor=page.cursor, model=OTHER, metadata={"order": "1"})
    assert ([job.id for job in rest.jobs], rest.cursor) == ([wanted], None)
    found = listed.lists.ids(JobFilter(tenant="demo", model=OTHER, metadata={"order": "1"}))
    assert list(found) == [wanted]


def test_what_has_expired_leaves_the_indexes_with_later_ends(
    listed: Listed, redis_client: "redis.Redis"
) -> None:
    """With each job that ends, up to two older ones whose records have expired leave each index."""
    old = listed.jobs(3, Status.SUCCEEDED, metadata={"order": "1"})
    redis_client.delete(*(f"job:{job_id}" for job_id in old))
    names = ("status:succeeded", model_index("flux-pro-1.1"), metadata_index("order", "1"))

    listed.clock.now += 2000
    listed.job(Status.SUCCEEDED, metadata={"order": "1"})
    assert [redis_client.zcard(f"jobs:demo:{name}") for name in names] == [2, 2, 2]
    newest = listed.job(Status.SUCCEEDED, metadata={"order": "1"})
    assert redis_client.zrange("jobs:demo:status:succeeded", -1, -1) == [newest]
    assert [redis_client.zcard(f"jobs:demo:{name}") for name in names] == [2, 2, 2]


def test_records_that_are_kept_stay_indexed(listed: Listed) -> None:
    """A job that is older than records usually are is listed for as long as its record is kept."""
    waits = listed.job()
    listed.clock.now += 5000
    ended = listed.jobs(3, Status.SUCCEEDED)

    assert listed.store.move(waits, Status.FAILED)
    assert listed.all() == [*ended, waits]


def test_what_has_expired_leaves_the_index_that_is_read(
    listed: Listed, redis_client: "redis.Redis"
) -> None:
    """A list shows no job whose record has expired, and takes it out of the index."""
    first, second = listed.jobs(2, Status.FAILED)
    redis_client.delete(f"job:{first}")

    assert listed.all() == [second]
    assert redis_client.zrange("jobs:demo:status:failed", 0, -1) == [second]


def test_an_index_expires_once_nothing_is_added(
    listed: Listed, redis_client: "redis.Redis"
) -> None:
    """Indexes of jobs that can expire do so later than these, and an addition renews them."""
    job_id = listed.job(Status.SUCCEEDED, metadata={"order": "1"})
    names = ("status:succeeded", model_index("flux-pro-1.1"), metadata_index("order", "1"))
    keys = [f"jobs:demo:{name}" for name in names]

    assert all(redis_client.ttl(key) > redis_client.ttl(f"job:{job_id}") for key in keys)
    for key in keys:
        redis_client.expire(key, 5)
    listed.job(Status.SUCCEEDED, metadata={"order": "1"})
    assert all(redis_client.ttl(key) > redis_client.ttl(f"job:{job_id}") for key in keys)


def test_a_job_that_waited_longer_than_its_indexes_is_in_them_again_at_its_end(
    listed: Listed, redis_client: "redis.Redis"
) -> None:
    """An index that expired while the job waited has it again once it has ended."""
    job_id = listed.job(metadata={"order": "1"})
    redis_client.delete(f"jobs:demo:{model_index('flux-pro-1.1')}")
    redis_client.delete(f"jobs:demo:{metadata_index('order', '1')}")
    assert listed.store.move(job_id, Status.FAILED)

    assert listed.all(metadata={"order": "1"}) == [job_id]
    assert listed.all(model="flux-pro-1.1") == [job_id]


def test_a_callback_that_is_sent_again_keeps_its_job_listed(
    listed: Listed, redis_client: "redis.Redis"
) -> None:
    """A record that is kept for longer, for its callback, is listed for as long."""
    job_id = listed.job(Status.FAILED, callback_url="https://example.com/done")
    redis_client.hset(f"job:{job_id}", "callback_state", "delivered")
    redis_client.expire(f"job:{job_id}", 5)
    redis_client.delete("jobs:demo:status:failed")
    store = listed.store
    payload = store.payload() | {"job": job_id, "ttl_owed": store.owed_ttl}

    assert store.scripts.run("resend", payload) == "delivered"
    assert listed.all(model="flux-pro-1.1", statuses=frozenset({Status.FAILED})) == [job_id]
    assert listed.all() == [job_id]


def test_a_job_accepted_by_an_earlier_version_is_listed_from_its_next_move(
    listed: Listed, redis_client: "redis.Redis"
) -> None:
    """Its record names no index: it is not listed until it moves, then by its status alone."""
    job_id = listed.job()
    redis_client.delete("jobs:demo:status:queued", f"jobs:demo:{model_index('flux-pro-1.1')}")
    redis_client.hdel(f"job:{job_id}", "indexes")
    assert listed.all() == []

    assert listed.store.move(job_id, Status.FAILED)

    assert listed.all() == [job_id]
    assert listed.all(model="flux-pro-1.1") == []


def test_a_damaged_record_is_left_out(listed: Listed, redis_client: "redis.Redis") -> None:
    """One record without its request does not keep the others from being listed."""
    first, second = listed.jobs(2)
    redis_client.hdel(f"job:{first}", "request")

    assert [JobId(job.id) for job in listed.page().jobs] == [second]
