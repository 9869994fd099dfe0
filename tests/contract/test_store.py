"""Jobs in a real Redis: accepted once, moved by one, and never without a word."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from core.errors import IdempotencyConflict
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import NEXT, TERMINAL, CallbackState, Status, Step
from core.redis.change import Change, Idempotency, Stored
from core.redis.store import JobStore
from tests.contract.jobs import Clock, accept, make_request, status_of

A, B = JobId("0001"), JobId("0002")
KEY = Idempotency(key_hash="hash", fingerprint="body-1")
OTHER_BODY = Idempotency(key_hash="hash", fingerprint="body-2")

#: The way that brings a job to each status.
WAY = {
    Status.QUEUED: [],
    Status.SUBMITTING: [],
    **{status: [status] for status in (Status.GENERATING, Status.STORING)},
    Status.SUCCEEDED: [Status.STORING, Status.SUCCEEDED],
    **{status: [status] for status in (Status.FAILED, Status.CANCELED)},
}


def test_a_job_is_accepted(store: JobStore) -> None:
    """Its request reads back as it was, and with a free slot it is submitted at once."""
    request = make_request(callback_url="https://example.com/", metadata={"ä": [1]}, priority=-3)

    assert store.create(A, request) == A

    job = store.load(A)
    assert job is not None
    assert job.request == request
    assert [status for status, _ in job.timeline] == [Status.QUEUED, Status.SUBMITTING]
    assert job.callback_state is CallbackState.WAITING


def test_an_unknown_job_is_none(store: JobStore) -> None:
    """A job that never was, and a step that begins for it, find nothing."""
    assert store.load(A) is None
    assert store.begin(Step.SUBMIT, A) is None
    assert not store.move(A, Status.FAILED)
    assert not store.change(A, Status, Change(set={"pool": "x"}))
    assert store.load(A) is None


def test_the_same_id_again_is_no_second_job(store: JobStore, redis_client: "redis.Redis") -> None:
    """A command repeated because its answer was lost changes nothing."""
    store.create(A, make_request())
    before = _everything(redis_client)

    assert store.create(A, make_request(priority=50)) == A

    assert _everything(redis_client) == before


def _everything(client: "redis.Redis") -> dict[str, object]:
    readers: dict[str, Callable[[str], object]] = {
        "hash": client.hgetall,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "set": client.smembers,
        "string": client.get,
    }
    other = client.dump  # lists and streams
    return {key: readers.get(str(client.type(key)), other)(key) for key in client.scan_iter()}


def test_the_same_idempotency_key_brings_the_same_job(store: JobStore) -> None:
    """With the same body the first job is returned, and no second one is made."""
    assert store.find_by_idempotency_key("demo", KEY) is None
    assert store.create(A, make_request(), KEY) == A

    assert store.find_by_idempotency_key("demo", KEY) == Stored(A, store.load(A))
    assert store.create(B, make_request(), KEY) == A
    assert store.load(B) is None


def test_another_body_with_the_same_key_is_a_conflict(store: JobStore) -> None:
    """Nothing is accepted, and the first job stays as it is."""
    store.create(A, make_request(), KEY)

    with pytest.raises(IdempotencyConflict):
        store.find_by_idempotency_key("demo", OTHER_BODY)
    with pytest.raises(IdempotencyConflict):
        store.create(B, make_request(), OTHER_BODY)
    assert store.load(B) is None


def test_a_key_is_its_tenant_s(store: JobStore) -> None:
    """Two tenants may choose the same key."""
    store.create(A, make_request(), KEY)

    assert store.find_by_idempotency_key("other", KEY) is None
    assert store.create(B, make_request(tenant="other"), OTHER_BODY) == B


def test_of_many_creates_with_one_key_one_wins(store: JobStore) -> None:
    """Sixteen requests at the same moment bring one job."""
    start = threading.Barrier(16)

    def create(number: int) -> JobId:
        start.wait()
        return store.create(JobId(f"{number:04d}"), make_request(), KEY)

    with ThreadPoolExecutor(16) as threads:
        ids = set(threads.map(create, range(16)))

    assert len(ids) == 1
    assert sum(store.load(JobId(f"{number:04d}")) is not None for number in range(16)) == 1


@pytest.mark.parametrize("standing", Status)
@pytest.mark.parametrize("to", Status)
def test_every_move_obeys_the_table(
    store_with: Callable[..., JobStore], standing: Status, to: Status
) -> None:
    """A move that the table allows is made; any other returns False and leaves no trace."""
    store = store_with(slots="1")
    blocker = ["0000"] if standing is Status.QUEUED else []
    accept(store, *blocker, A)
    for step in WAY[standing]:
        assert store.move(A, step)
    assert status_of(store, A) is standing
    before = _way(store)

    moved = store.move(A, to)

    assert moved is (to in NEXT[standing])
    # Given back, it comes first and gets the slot again at once.
    again = [Status.SUBMITTING] if moved and to is Status.QUEUED else []
    assert _way(store) == before + ([to, *again] if moved else [])
    assert status_of(store, A) is _way(store)[-1]


def _way(store: JobStore) -> list[Status]:
    job = store.load(A)
    return [status for status, _ in job.timeline] if job else []


def test_of_sixteen_movers_one_wins(store: JobStore) -> None:
    """A status changes once, whoever tries at the same moment."""
    accept(store, A)
    start = threading.Barrier(16)

    def move(number: int) -> bool:
        start.wait()
        return store.move(A, Status.STORING, Change(set={"pool": number}))

    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(move, range(16)))

    job = store.load(A)
    assert outcomes.count(True) == 1
    assert job is not None
    assert job.pool == str(outcomes.index(True))


def test_of_sixteen_claims_one_wins(store: JobStore) -> None:
    """Only one run of the submit step writes that it is posting."""
    accept(store, A)
    start = threading.Barrier(16)

    def claim(_: int) -> bool:
        change = Change(expect={"posting_at": ""}, set={"posting_at": 5.5}, add={"submits": 1})
        start.wait()
        return store.change(A, {Status.SUBMITTING}, change, durable=True)

    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(claim, range(16)))

    job = store.load(A)
    assert outcomes.count(True) == 1
    assert job is not None
    assert (job.submits, job.posting_at) == (1, 5.5)


def test_a_change_happens_whole_or_not_at_all(store: JobStore, redis_client: "redis.Redis") -> None:
    """Where the status or an expected field is another, nothing of a change happens."""
    accept(store, A)
    before = _everything(redis_client)
    change = Change(
        expect={"pool": "elsewhere"},
        set={"seed": 1},
        add={"submits": 1},
        clear=["pool"],
        wake=[Step.POLL],
        due={Step.POLL: 1.0},
        done=[Step.SUBMIT],
        pause=("default", 9.0, "why"),
        shrink=("default", 9.0),
    )

    assert not store.change(A, {Status.SUBMITTING}, change)
    assert not store.change(A, {Status.GENERATING}, Change(set={"seed": 1}))
    assert _everything(redis_client) == before


@pytest.mark.parametrize("seed", [0, -5, 2**31, 2**53 + 1, 2**63 + 1, 10**30])
def test_numbers_keep_every_digit(store: JobStore, seed: int) -> None:
    """What is written reads back as it was, also beyond the numbers that Lua knows."""
    accept(store, A)

    store.change(A, Status, Change(set={"seed": seed, "cost": 0.1, "posting_at": 1750000000.123}))

    job = store.load(A)
    assert job is not None
    assert (job.seed, job.cost, job.posting_at) == (seed, 0.1, 1750000000.123)


def test_a_failure_is_recorded_and_told(store: JobStore, redis_client: "redis.Redis") -> None:
    """The end owes the callback and the inputs' clean-up, in the same step."""
    accept(store, A, callback_url="https://example.com/", input_keys={"input_image": "k"})

    assert store.fail(A, FailureCode.CONTENT_MODERATED, "too bad", details={"why": 1})

    job = store.load(A)
    assert job is not None
    assert job.error == {
        "code": "content_moderated",
        "message": "too bad",
        "retryable": False,
        "details": {"why": 1},
    }
    assert job.callback_state is CallbackState.PENDING
    assert redis_client.llen("rq:queue:notify") == 1
    assert redis_client.llen("rq:queue:collect") == 1
    assert not store.fail(A, FailureCode.LOST, "again")


def test_a_step_that_gives_up_too_late_changes_nothing(store: JobStore) -> None:
    """A failure that is only for one status leaves a job alone that moved on from there."""
    accept(store, A)
    store.move(A, Status.STORING)

    assert not store.fail(A, FailureCode.LOST, "nobody knows", was=[Status.GENERATING])

    job = store.load(A)
    assert job is not None
    assert (job.status, job.error) == (Status.STORING, None)


def test_an_end_without_callback_and_inputs_owes_nothing(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """No task is made that would find nothing to do."""
    accept(store, A)

    store.move(A, Status.CANCELED)

    assert not redis_client.exists("rq:queue:notify", "rq:queue:collect")
    assert redis_client.zrange("due", 0, -1) == []


@pytest.mark.parametrize("end", sorted(TERMINAL))
def test_ended_jobs_are_kept_for_a_while(
    store_with: Callable[..., JobStore], redis_client: "redis.Redis", end: Status
) -> None:
    """Only an ended job's record expires, after the time that was set."""
    store = store_with(job_ttl_seconds="999.5")
    accept(store, A)
    assert redis_client.ttl(f"job:{A}") == -1

    for step in WAY[end]:
        store.move(A, step)

    assert 990 < int(redis_client.ttl(f"job:{A}")) <= 1000


def test_a_step_s_lease_is_renewed_while_it_runs(
    store_with: Callable[..., JobStore], redis_client: "redis.Redis", clock: Clock
) -> None:
    """Beginning and renewing move the due time ahead; of a step that is not due they make none."""
    store = store_with(watch_seconds="30")
    accept(store, A)
    clock.now += 10
    store.begin(Step.SUBMIT, A)
    assert redis_client.zscore("due", f"submit:{A}") == clock.now + 30
    clock.now += 10
    store.renew(Step.SUBMIT, A)
    assert redis_client.zscore("due", f"submit:{A}") == clock.now + 30

    store.begin(Step.COLLECT, A)

    assert redis_client.zscore("due", f"collect:{A}") is None


def test_the_answer_of_a_step_that_begins_is_the_record(store: JobStore) -> None:
    """A step reads the job as it stands, in the same round trip."""
    accept(store, A)

    assert store.begin(Step.SUBMIT, A) == store.load(A)
    assert json.loads(make_request().to_json())["model"] == "flux-pro-1.1"
