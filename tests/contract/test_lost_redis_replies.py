"""What Redis did although its answer was lost is done once, and whoever repeats can wait for it."""

from collections.abc import Mapping

import pytest
import redis

from core.errors import StoreUnavailable
from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.redis.change import Change, Idempotency
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from stack.servers.valkey import Valkey
from tests.contract.jobs import accept, make_request
from tests.contract.lossy_redis import LossyWay

A = JobId("0001")
KEY = Idempotency(key_hash="hash", fingerprint="body")


def test_a_command_whose_answer_was_lost_is_not_repeated(
    store: JobStore, valkey: Valkey, environment: Mapping[str, str]
) -> None:
    """Whoever sent it is told, and the server has done it once."""
    accept(store, A)
    with LossyWay(valkey.port, b"EVALSHA") as way:
        url = environment["FLUXRELAY_REDIS_URL"].replace(f":{valkey.port}/", f":{way.port}/")
        settings = Settings.from_env({**environment, "FLUXRELAY_REDIS_URL": url}, WORKER)
        client = connect(settings)
        lossy = JobStore(client, settings)

        with pytest.raises(StoreUnavailable):
            lossy.change(A, {Status.SUBMITTING}, Change(add={"submits": 1}))
        client.close()

    job = store.load(A)
    assert job is not None
    assert job.submits == 1


def test_a_plain_command_whose_answer_was_lost_is_not_repeated(
    store: JobStore, valkey: Valkey, environment: Mapping[str, str]
) -> None:
    """What is no script is not sent twice either."""
    with LossyWay(valkey.port, b"HINCRBY") as way:
        url = environment["FLUXRELAY_REDIS_URL"].replace(f":{valkey.port}/", f":{way.port}/")
        settings = Settings.from_env({**environment, "FLUXRELAY_REDIS_URL": url}, WORKER)
        client = connect(settings)
        with pytest.raises(StoreUnavailable):
            JobStore(client, settings).read("hincrby", "counters", "a test", 1)
        client.close()

    assert int(store.read("hget", "counters", "a test")) == 1


def test_a_replay_is_a_write(store: JobStore, redis_client: "redis.Redis") -> None:
    """Only for a write of its own can an answer wait until it is on disk."""
    store.create(A, make_request(), KEY)
    before = _written(redis_client)

    known = store.find_by_idempotency_key("demo", KEY)
    assert known is not None
    assert known.id == A
    assert _written(redis_client) > before


def test_a_second_create_with_a_key_is_a_write(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """The same where two requests with one key come at the same moment."""
    store.create(A, make_request(), KEY)
    before = _written(redis_client)

    assert store.create(JobId("0002"), make_request(), KEY) == A
    assert _written(redis_client) > before


def test_the_same_create_again_is_a_write(store: JobStore, redis_client: "redis.Redis") -> None:
    """The same where one command comes twice."""
    store.create(A, make_request())
    before = _written(redis_client)

    assert store.create(A, make_request()) == A
    assert _written(redis_client) > before


def _written(client: "redis.Redis") -> int:
    """Return a number that grows with each write."""
    return int(client.info("persistence")["rdb_changes_since_last_save"])


def test_a_key_outlives_its_job(
    store: JobStore, redis_client: "redis.Redis", worker_settings: Settings
) -> None:
    """A job may wait until its deadline, and its key is good for as long as its record is kept."""
    store.create(A, make_request(), KEY)
    longest = worker_settings.job_deadline_seconds + worker_settings.job_ttl_seconds

    assert redis_client.ttl("idempotency:demo:hash") >= longest - 5
    known = store.find_by_idempotency_key("demo", KEY)
    assert known is not None
    assert known.id == A
    assert redis_client.ttl("idempotency:demo:hash") >= longest - 5


def test_a_script_that_was_forgotten_is_sent_again(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """A restarted server knows none of those that we sent it before."""
    accept(store, A)
    assert store.begin(Step.SUBMIT, A) is not None
    redis_client.script_flush()

    assert store.begin(Step.SUBMIT, A) is not None
