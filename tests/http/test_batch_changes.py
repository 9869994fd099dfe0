"""Accepted batches over HTTP: their place in line, who sees them, cancel, retry, and limits."""

import uuid
from collections.abc import Callable

import redis

from stack.receiver import CallbackReceiver
from stack.stack import Stack
from tests.http.batch_calls import accepted, callbacks, completed, item, lines, results, send, show
from tests.http.conftest import Caller, Rotating, RunService, SandboxDesk
from tests.http.test_dead_letters import problem

MakeCaller = Callable[[str, str | None], Caller]


def test_a_batch_waits_behind_single_jobs(
    api: Caller, redis_of: "redis.Redis", full_house: None
) -> None:
    """Its jobs stand behind later single jobs of their priority, unless it asks otherwise."""
    del full_house
    batch = accepted(api, {"items": [item("behind"), item("higher", priority=1)]})["id"]
    mixed = accepted(api, {"items": [item("mixed")], "behind_single_jobs": False})["id"]
    api.eventually(lambda: not redis_of.exists(*(f"batch:{b}:staged" for b in (batch, mixed))))
    single = api.create("single")

    line = [str(job_id) for job_id in redis_of.zrange("backlog:any", 0, -1)]

    def place(batch_id: str, number: int) -> int:
        return line.index(str(redis_of.zrange(f"batch:{batch_id}:jobs", number, number)[0]))

    assert place(batch, 1) < place(mixed, 0) < line.index(single) < place(batch, 0)


def test_other_tenants_see_nothing(
    api: Caller, rotating: Rotating, callers: MakeCaller, full_house: None
) -> None:
    """A batch of another tenant does not exist: not to show, list, cancel or retry."""
    del full_house
    batch = accepted(api, {"items": [item("mine")]})["id"]
    other = callers(rotating.url, rotating.other_key)

    problem(other.get(f"/v1/batches/{batch}"), 404, "no-such-batch")
    assert other.get("/v1/batches").json()["batches"] == []
    problem(other.get(f"/v1/batches/{batch}/jobs"), 404, "no-such-batch")
    assert other.get(f"/v1/jobs?batch={batch}").json()["jobs"] == []
    for what in ("cancel", "retry", "callback"):
        problem(send(other, {}, path=f"/v1/batches/{batch}/{what}"), 404, "no-such-batch")
    problem(Caller(api.client, api.eventually).get("/v1/batches"), 401, "missing-key")


def test_batches_are_listed_newest_first(api: Caller, full_house: None) -> None:
    """Pages follow each other without a gap."""
    del full_house
    made = [accepted(api, {"items": [item(f"{n}")]})["id"] for n in range(3)]

    first = api.get("/v1/batches?limit=2").json()
    second = api.get(f"/v1/batches?limit=1&cursor={first['next_cursor']}").json()

    found = [one["id"] for one in first["batches"] + second["batches"]]
    assert found == made[::-1]
    none = api.get("/v1/batches?callback=none&limit=3").json()["batches"]
    assert [one["id"] for one in none] == made[::-1]
    for query in (
        "callback=gone",
        "limit=0",
        "limit=101",
        "limit=x",
        "cursor=x",
        "color=red",
        "limit=1&limit=2",
    ):
        problem(api.get(f"/v1/batches?{query}"), 422, "invalid-fields")


def test_the_jobs_of_a_batch_are_listed(
    api: Caller, redis_of: "redis.Redis", full_house: None
) -> None:
    """They are those of the batch alone, newest first, and the list's filters hold."""
    del full_house
    made = [accepted(api, {"items": [item(f"{n}") for n in range(3)]})["id"] for _ in range(2)]
    for batch in made:
        api.eventually(lambda batch=batch: not redis_of.exists(f"batch:{batch}:staged"))  # type: ignore[misc]  # bound now

    first = api.get(f"/v1/batches/{made[0]}/jobs?limit=2").json()
    second = api.get(f"/v1/batches/{made[0]}/jobs?cursor={first['next_cursor']}").json()

    found = [job["batch"] for job in first["jobs"] + second["jobs"]]
    assert found == [{"id": made[0], "custom_id": f"{n}"} for n in (2, 1, 0)]
    assert api.get(f"/v1/jobs?batch={made[1]}&limit=1").json()["jobs"][0]["batch"]["id"] == made[1]
    assert api.get(f"/v1/batches/{made[0]}/jobs?status=failed").json()["jobs"] == []
    problem(api.get(f"/v1/batches/{made[0]}/jobs?batch={made[1]}"), 422, "invalid-fields")


def test_a_batch_is_canceled(api: Caller, relay: Stack, full_house: None) -> None:
    """All of its items end as canceled, those that were no jobs yet as well."""
    del full_house
    batch = accepted(api, {"items": [item(f"{n}") for n in range(3)]})["id"]

    answer = send(api, {}, path=f"/v1/batches/{batch}/cancel")

    assert answer.status_code == 200, answer.text
    assert answer.json()["counts"]["canceled"] == 3
    done = completed(api, batch)
    assert [line["status"] for line in results(relay, done)] == ["canceled"] * 3
    assert send(api, {}, path=f"/v1/batches/{batch}/cancel").json()["counts"] == done["counts"]
    # What was canceled is nothing that failed.
    problem(send(api, {}, path=f"/v1/batches/{batch}/retry"), 409, "cannot-send-again")


def test_what_failed_is_retried(api: Caller, relay: Stack, sandbox: SandboxDesk) -> None:
    """The failed items become a new batch, once; a batch that runs is not retried."""
    mark = uuid.uuid4().hex
    sandbox.faults(refuse_submit={"match": mark, "status": 422})
    body = {"items": [item("good"), item(mark, metadata={"n": 1}), item("fine")]}
    batch = accepted(api, body)["id"]
    done = completed(api, batch)
    assert done["counts"]["failed"] == 1
    sandbox.faults()

    again = send(api, {}, path=f"/v1/batches/{batch}/retry")

    assert again.status_code == 202, again.text
    retry = again.json()
    assert (retry["retry_of"], retry["counts"]["total"]) == (batch, 1)
    assert send(api, {}, path=f"/v1/batches/{batch}/retry").json()["id"] == retry["id"]
    assert show(api, batch)["retried_as"] == retry["id"]
    finished = completed(api, retry["id"])
    (line,) = results(relay, finished)
    assert (line["custom_id"], line["status"]) == (mark, "succeeded")
    failed = next(one for one in results(relay, done) if one["status"] == "failed")
    assert failed["error"]["code"] == "provider_rejected"
    assert api.job(failed["job_id"])["retried_as"] == line["job_id"]
    nothing = send(api, {}, path=f"/v1/batches/{retry['id']}/retry")
    problem(nothing, 409, "cannot-send-again")


def test_what_was_moderated_is_retried_and_told_to_the_same_receiver(
    api: Caller, receiver: CallbackReceiver
) -> None:
    """A retry runs moderated items too; it has the batch's callback and metadata, and its own."""
    own = {"callback": {"url": receiver.url}, "metadata": {"n": 1}}
    items = [item("moderate-content", **own), item("fine")]
    body = {"items": items, "callback": {"url": receiver.url}, "metadata": {"of": "all"}}
    batch = accepted(api, body)["id"]
    assert completed(api, batch)["counts"]["failed"] == 1

    retry = send(api, {}, path=f"/v1/batches/{batch}/retry").json()["id"]

    finished = completed(api, retry)
    assert (finished["counts"]["total"], finished["metadata"]) == (1, {"of": "all"})
    api.eventually(lambda: [one["id"] for one in callbacks(receiver)] == [batch, retry])
    api.eventually(lambda: len(callbacks(receiver, "job.failed")) == 2)
    for told in callbacks(receiver, "job.failed"):
        assert (told["metadata"], told["error"]["retryable"]) == ({"n": 1}, False)


def test_a_callback_is_sent_again(api: Caller, receiver: CallbackReceiver) -> None:
    """A completed batch's callback can be asked for again; one without any is refused."""
    batch = accepted(api, {"items": [item("a")], "callback": {"url": receiver.url}})["id"]
    silent = accepted(api, {"items": [item("a")]})["id"]
    api.eventually(lambda: len(callbacks(receiver)) == 1)
    api.eventually(lambda: show(api, batch)["callback"]["state"] == "delivered")

    answer = send(api, {}, path=f"/v1/batches/{batch}/callback")

    assert answer.status_code == 202, answer.text
    api.eventually(lambda: len(callbacks(receiver)) == 2)
    problem(send(api, {}, path=f"/v1/batches/{silent}/callback"), 409, "cannot-send-again")


def test_a_full_backlog_has_no_room_for_a_batch(
    api: Caller,
    own_service: RunService,
    callers: MakeCaller,
    redis_of: "redis.Redis",
    full_house: None,
) -> None:
    """All items of a batch count, also those that are no jobs yet."""
    del full_house
    waiting = api.get("/metrics").text
    assert waiting
    with own_service(FLUXRELAY_MAX_BACKLOG="100000", FLUXRELAY_MAX_BATCH_ITEMS="3") as service:
        caller = callers(service.url, api.key)
        problem(send(caller, lines(*(item(f"{n}") for n in range(4)))), 413, "too-many-items")
    with own_service(FLUXRELAY_MAX_BACKLOG="1") as service:
        caller = callers(service.url, api.key)
        refused = send(caller, {"items": [item("a"), item("b")]})
        problem(refused, 429, "backlog-full")
        assert "1 may wait (FLUXRELAY_MAX_BACKLOG)" in refused.json()["detail"]
    assert redis_of.zcard("staging") == 0  # what was not accepted is staged no longer
