"""`?wait=N` and `Prefer: wait=N`: a request that is answered once its job has ended."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import redis

from core.jobs.failures import FailureCode, error_record
from core.jobs.job import JobId
from core.jobs.status import Status
from core.redis.change import Change
from core.redis.store import JobStore
from core.settings.settings import Settings
from service.watch.mailbox import Closed, Mailbox
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.contract.jobs import accept
from tests.http.raw_http import Answer, Wire, ask, head
from tests.http.served_app import KEY, OTHER_KEY, Served, served

A, B = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481"), JobId("01a1feec-e663-77f8-ba48-1ab172ecb482")
BODY = json.dumps({"model": "flux-pro-1.1", "input": {"prompt": "p", "width": 256}}).encode()


@pytest.fixture
def relay_app(
    store: JobStore, service_settings: Settings, ports: Ports, eventually: Eventually
) -> Iterator[Served]:
    """Run a service beside the store of the test; no worker runs."""
    del store  # it has emptied Redis
    with served(service_settings, ports, eventually) as running:
        yield running


@pytest.fixture
def narrow(
    store: JobStore, service_settings: Settings, ports: Ports, eventually: Eventually
) -> Iterator[Served]:
    """Run a service in which one request may wait."""
    del store  # it has emptied Redis
    one = service_settings.model_copy(update={"max_waiters": 1})
    with served(one, ports, eventually) as running:
        yield running


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    """Return threads that wait for answers."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


def get(path: str, *headers: str, key: str = KEY) -> bytes:
    """Return a GET."""
    return head("GET", path, f"x-key: {key}", *headers)


def post(*headers: str) -> bytes:
    """Return a POST of a job."""
    return (
        head("POST", "/v1/jobs", f"x-key: {KEY}", f"content-length: {len(BODY)}", *headers) + BODY
    )


def fail(store: JobStore, job_id: str) -> None:
    """End a job."""
    error = error_record(FailureCode.TIMED_OUT, "a test")
    assert store.move(JobId(job_id), Status.FAILED, Change(set={"error": error}))


def status(answer: Answer) -> Any:
    """Return the status of the job that was answered."""
    return json.loads(answer.body)["status"]


@pytest.mark.parametrize("asked", ["?wait=60", "?wait=600"])
def test_a_get_is_answered_once_its_job_has_ended(
    relay_app: Served, store: JobStore, callers: ThreadPoolExecutor, asked: str
) -> None:
    """200 with the ended job, and what was waited at most; more than a minute is cut."""
    accept(store, A, B)
    answer = callers.submit(ask, relay_app.url, get(f"/v1/jobs/{A}{asked}"))
    relay_app.waits(1)

    assert store.move(A, Status.GENERATING)
    fail(store, B)
    fail(store, A)

    assert (answer.result().status, status(answer.result())) == (200, "failed")
    assert answer.result().headers["preference-applied"] == "wait=60"
    assert answer.result().headers["cache-control"] == "no-store"
    relay_app.waits(0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (("prefer: wait=20",), 20),
        (("prefer: respond-async, wait=61; foo=bar",), 60),
        (("prefer: handling=lenient", 'Prefer: WAIT = "7", wait=8'), 7),
    ],
)
def test_a_preference_is_a_wait(
    relay_app: Served,
    store: JobStore,
    callers: ThreadPoolExecutor,
    headers: tuple[str, ...],
    seconds: int,
) -> None:
    """`Prefer: wait=N` in any place and any spelling; of several the first counts."""
    accept(store, A)
    answer = callers.submit(ask, relay_app.url, get(f"/v1/jobs/{A}", *headers))
    relay_app.waits(1)
    fail(store, A)

    assert status(answer.result()) == "failed"
    assert answer.result().headers["preference-applied"] == f"wait={seconds}"


@pytest.mark.parametrize(
    "asked",
    ["?wait=0", "", "|prefer: wait=x", "|prefer: wait", "|prefer: wait=-1", "|prefer: wait=1.5",
     "|prefer: waiting=9", "|prefer: respond-async", "|prefer: wait=x, wait=9"],
)  # fmt: skip
def test_who_does_not_ask_to_wait_does_not_wait(
    relay_app: Served, store: JobStore, asked: str
) -> None:
    """A malformed preference is ignored, as is one of another name."""
    accept(store, A)
    query, _, header = asked.partition("|")
    answer = ask(relay_app.url, get(f"/v1/jobs/{A}{query}", *filter(None, [header])))

    assert (answer.status, status(answer)) == (200, "submitting")
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize("wait", ["", "x", "-1", "1.5", "5&wait=6", "9999999999", "%D9%A3"])
def test_a_malformed_wait_is_a_mistake(relay_app: Served, store: JobStore, wait: str) -> None:
    """422 that names the parameter: nobody is left to guess how long it was."""
    accept(store, A)
    answer = ask(relay_app.url, get(f"/v1/jobs/{A}?wait={wait}"))

    assert answer.status == 422
    assert json.loads(answer.body)["errors"][0]["field"] == "query.wait"


@pytest.mark.parametrize("path", [f"/v1/jobs/{A}?wait=60", f"/v1/jobs/{B}?wait=60"])
def test_a_job_of_others_is_not_waited_for(relay_app: Served, store: JobStore, path: str) -> None:
    """404 at once, as without the wait."""
    accept(store, A)
    assert ask(relay_app.url, get(path, key=OTHER_KEY)).status == 404


def test_an_ended_job_is_answered_at_once(relay_app: Served, store: JobStore) -> None:
    """There is nothing to wait for."""
    accept(store, A)
    fail(store, A)
    answer = ask(relay_app.url, get(f"/v1/jobs/{A}?wait=60"))

    assert (answer.status, status(answer)) == (200, "failed")


def test_a_wait_that_ends_before_the_job_shows_it_as_it_stands(
    relay_app: Served, store: JobStore
) -> None:
    """200 from a GET, 202 from a POST, each with what was waited."""
    accept(store, A)
    shown = ask(relay_app.url, get(f"/v1/jobs/{A}?wait=1"))
    created = ask(relay_app.url, post("prefer: wait=1"))

    assert (shown.status, status(shown)) == (200, "submitting")
    assert (created.status, status(created)) == (202, "submitting")
    assert shown.headers["preference-applied"] == "wait=1"
    assert created.headers["preference-applied"] == "wait=1"


def created(client: Any) -> str:
    """Return the job that was accepted last."""
    keys = sorted(str(key) for key in client.scan_iter("job:*"))
    return keys[-1].removeprefix("job:")


def test_a_post_is_answered_once_its_job_has_ended(
    relay_app: Served,
    store: JobStore,
    redis_client: "redis.Redis",
    callers: ThreadPoolExecutor,
) -> None:
    """200 with the ended job and where it is; the same for the request that repeats it."""
    answer = callers.submit(ask, relay_app.url, post("prefer: wait=60", "idempotency-key: once"))
    relay_app.waits(1)
    fail(store, created(redis_client))

    first = answer.result()
    assert (first.status, status(first)) == (200, "failed")
    assert first.headers["location"].endswith(created(redis_client))
    assert first.headers["preference-applied"] == "wait=60"
    again = ask(relay_app.url, post("prefer: wait=60", "idempotency-key: once"))
    assert (again.status, status(again)) == (200, "failed")
    assert again.headers["idempotency-replayed"] == "true"
    assert ask(relay_app.url, post("idempotency-key: once")).status == 202


def test_only_so_many_wait(narrow: Served, store: JobStore, callers: ThreadPoolExecutor) -> None:
    """One more is told to come again; who only prefers to wait is answered as if it had not."""
    accept(store, A)
    answer = callers.submit(ask, narrow.url, get(f"/v1/jobs/{A}?wait=60"))
    narrow.waits(1)

    for path in (f"/v1/jobs/{A}?wait=60", f"/v1/jobs/{A}/events", "/v1/events"):
        refused = ask(narrow.url, get(path))
        assert refused.status == 503
        assert json.loads(refused.body)["type"] == "urn:fluxrelay:problem:busy"
        assert int(refused.headers["retry-after"]) > 0
    assert ask(narrow.url, get(f"/v1/jobs/{A}")).status == 200
    shown = ask(narrow.url, get(f"/v1/jobs/{A}", "prefer: wait=60"))
    assert (shown.status, "preference-applied" in shown.headers) == (200, False)
    accepted = ask(narrow.url, post("prefer: wait=60"))
    assert (accepted.status, "preference-applied" in accepted.headers) == (202, False)

    fail(store, A)
    assert status(answer.result()) == "failed"


@pytest.mark.parametrize("request_", [get(f"/v1/jobs/{A}?wait=60"), post("prefer: wait=60")])
@pytest.mark.parametrize("earlier", [b"", get(f"/v1/jobs/{A}?wait=60")])
def test_who_leaves_frees_its_place(
    relay_app: Served,
    store: JobStore,
    monkeypatch: pytest.MonkeyPatch,
    request_: bytes,
    earlier: bytes,
) -> None:
    """A client that closes its connection waits no longer, with a request behind it or without.

    Its wait ends because it has left, and not because its time is over.
    """
    ends: list[Closed | None] = []
    remove = relay_app.hub.remove

    def noted(key: str, box: Mailbox) -> None:
        ends.append(box.closed)
        remove(key, box)

    monkeypatch.setattr(relay_app.hub, "remove", noted)
    accept(store, A)
    with Wire.to(relay_app.url) as wire:
        wire.send(earlier + request_)
        relay_app.waits(1)
    relay_app.waits(0)
    assert set(ends) == {Closed.LEFT}


def test_a_client_that_only_stops_sending_is_answered_at_once(
    relay_app: Served, store: JobStore
) -> None:
    """It may have left as well, so it is shown the job as it stands."""
    accept(store, A)
    with Wire.to(relay_app.url) as wire:
        wire.send(get(f"/v1/jobs/{A}?wait=60"))
        relay_app.waits(1)
        wire.socket.shutdown(1)
        answer = wire.answer()
        assert (answer.status, status(answer)) == (200, "submitting")


def test_a_stop_waits_for_nobody(
    relay_app: Served, store: JobStore, callers: ThreadPoolExecutor
) -> None:
    """Whoever waits is shown the job as it stands, and the process ends before its grace does."""
    accept(store, A)
    answers: list[Future[Answer]] = [
        callers.submit(ask, relay_app.url, request)
        for request in (get(f"/v1/jobs/{A}?wait=60"), post("prefer: wait=60"))
    ]
    relay_app.waits(2)

    relay_app.stop()

    relay_app.eventually(relay_app.stopped.is_set)
    assert [answer.result().status for answer in answers] == [200, 202]
    assert {answer.result().headers["connection"] for answer in answers} == {"close"}
