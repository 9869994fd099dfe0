"""What a batch shows of its way: what it cost, when it may end, that it was canceled."""

import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from stack.receiver import Answer, CallbackReceiver
from tests.http.batch_calls import accepted, completed, item, lines, send, show
from tests.http.conftest import Caller, SandboxDesk

#: Seconds by which a time in whole milliseconds may differ.
ROUNDING = 0.001


def seconds(view: Mapping[str, Any], name: str) -> float:
    """Return a time of a batch in Unix seconds."""
    return datetime.fromisoformat(view[name]).timestamp()


def jobs(api: Caller, batch: str) -> list[dict[str, Any]]:
    """Return the jobs of a batch."""
    found: list[dict[str, Any]] = api.get(f"/v1/batches/{batch}/jobs").json()["jobs"]
    return found


def delete(api: Caller, job_id: str) -> httpx.Response:
    """Cancel a job."""
    headers = {"authorization": f"Bearer {api.key}"}
    return api.client.delete(f"/v1/jobs/{job_id}", headers=headers)


def test_a_batch_costs_what_its_jobs_cost(api: Caller, sandbox: SandboxDesk) -> None:
    """It is the sum of what was told, at the submit or later; a refused job costs nothing."""
    refused, asked = uuid.uuid4().hex, uuid.uuid4().hex
    refusal = {"match": refused, "status": 422}
    # Of a model that tells no cost at the submit, only the answer to a poll tells it.
    sandbox.faults(refuse_submit=refusal, drop_webhook={"match": asked})
    items = [item(f"{n}", model="flux-2-pro") for n in range(2)] + [item(refused), item(asked)]

    batch = accepted(api, {"items": items})
    done = completed(api, batch["id"])

    costs = {job["batch"]["custom_id"]: job["provider"]["cost"] for job in jobs(api, batch["id"])}
    assert costs == {"0": 3, "1": 3, refused: None, asked: 4}
    assert (batch["cost"], done["cost"]) == (None, 10)


def test_the_end_is_estimated_at_the_pace_so_far(api: Caller, full_house: None) -> None:
    """With one of three jobs ended, the batch takes three times as long; else nothing is known."""
    del full_house
    batch = accepted(api, {"items": [item(f"{number}") for number in range(3)]})
    assert batch["estimated_end_at"] is None
    api.eventually(lambda: len(jobs(api, batch["id"])) == 3)
    first, *others = jobs(api, batch["id"])
    assert delete(api, first["id"]).status_code == 200

    before = time.time()
    view = show(api, batch["id"])
    after = time.time()

    began, end = seconds(view, "created_at"), seconds(view, "estimated_end_at")
    assert 3 * (before - began) - 3 * ROUNDING <= end - began <= 3 * (after - began) + 3 * ROUNDING
    for job in others:
        delete(api, job["id"])
    assert completed(api, batch["id"])["estimated_end_at"] is None


def test_a_canceled_batch_says_since_when(api: Caller, full_house: None) -> None:
    """It keeps the time of the first cancel; cancels of its jobs alone leave it null."""
    del full_house
    batch, other = (accepted(api, {"items": [item("a"), item("b")]}) for _ in range(2))
    assert batch["canceled_at"] is None
    api.eventually(lambda: len(jobs(api, other["id"])) == 2)
    for job in jobs(api, other["id"]):
        delete(api, job["id"])
    path = f"/v1/batches/{batch['id']}/cancel"

    before = time.time()
    first = send(api, {}, path=path).json()
    after = time.time()

    assert before - ROUNDING <= seconds(first, "canceled_at") <= after + ROUNDING
    assert send(api, {}, path=path).json()["canceled_at"] == first["canceled_at"]
    assert completed(api, batch["id"])["canceled_at"] == first["canceled_at"]
    assert completed(api, other["id"])["canceled_at"] is None


def test_batches_whose_callback_is_dead_are_listed(api: Caller, receiver: CallbackReceiver) -> None:
    """They are told apart from those whose callback was delivered, or that have none."""
    receiver.script(Answer(410))
    callback = {"callback": {"url": receiver.url}}
    dead = accepted(api, {"items": [item("a")], **callback})["id"]
    api.eventually(lambda: show(api, dead)["callback"]["state"] == "dead")
    well = accepted(api, {"items": [item("a")], **callback})["id"]
    api.eventually(lambda: show(api, well)["callback"]["state"] == "delivered")
    silent = accepted(api, {"items": [item("a")]})["id"]

    def listed(state: str) -> list[str]:
        found = api.get(f"/v1/batches?callback={state}&limit=100").json()["batches"]
        assert {one["callback"]["state"] if one["callback"] else "none" for one in found} == {state}
        return [one["id"] for one in found if one["id"] in (dead, well, silent)]

    assert (listed("dead"), listed("delivered"), listed("none")) == ([dead], [well], [silent])
    assert send(api, {}, path=f"/v1/batches/{dead}/callback").status_code == 202
    api.eventually(lambda: show(api, dead)["callback"]["state"] == "delivered")
    left = api.get("/v1/batches?callback=dead&limit=100").json()["batches"]
    assert dead not in [one["id"] for one in left]


def test_more_complaints_than_are_listed_are_counted(api: Caller, full_house: None) -> None:
    """At most 1,000 of them are listed; the total counts all."""
    del full_house
    bad = [{"custom_id": f"{number}"} for number in range(1100)]  # without a model

    refused = send(api, lines(item("good"), *bad)).json()
    batch = accepted(api, lines({"on_error": "skip"}, item("good"), *bad))

    assert (len(refused["errors"]), refused["total"]) == (1000, 1100)
    assert (len(batch["rejected"]), batch["rejected_total"]) == (1000, 1100)
    assert batch["counts"]["total"] == 1
