"""Batches, by both clients, before the running product."""

import io
import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fluxrelay import (
    ConflictError,
    FluxRelay,
    FluxRelayError,
    InvalidItemsError,
    NotFoundError,
    WaitTimeoutError,
)
from stack.receiver import CallbackReceiver
from tests.client.scripted_service import ScriptedService, hangs_up
from tests.client.test_jobs import MODEL, NOBODY, SMALL
from tests.conftest import Eventually
from tests.contract.scripted_server import answer

DEFAULTS = {"model": MODEL, "input": SMALL}


def item(name: str, prompt: str = "a fox", **more: Any) -> dict[str, Any]:
    """Return an item."""
    return {"custom_id": name, "input": {"prompt": prompt}, **more}


def test_a_batch_to_its_results(client: FluxRelay, tmp_path: Path) -> None:
    """A batch is created, awaited and read; what failed is retried as a new batch."""
    items = [item("good"), item("bad", "moderate-content=Violence")]

    batch = client.batches.create(items, defaults=DEFAULTS, metadata={"order": 7})
    assert (batch.counts.total, batch.ended, batch.metadata) == (2, False, {"order": 7})
    ended = client.batches.wait(batch)

    assert (ended.id, ended.status, ended.ended) == (batch.id, "completed", True)
    assert (ended.counts.succeeded, ended.counts.failed, ended.counts.ended) == (1, 1, 2)
    assert ended.results is not None
    assert ended.results.uri.startswith("s3://")
    results = {result.custom_id: result for result in client.batches.results(batch)}
    assert list(results) == ["good", "bad"]
    saved = client.batches.save(batch, tmp_path)
    assert saved.name == ended.results.key.rpartition("/")[2]
    assert [json.loads(line) for line in saved.read_text().splitlines()] == [
        result.raw for result in results.values()
    ]
    assert results["good"].status == "succeeded"
    assert results["good"].artifacts[0].sha256
    assert results["bad"].error is not None
    assert results["bad"].error.code == "content_moderated"
    assert client.batches.get(batch.id, wait=60) == ended
    again = client.batches.retry(ended)
    assert (again.retry_of, again.counts.total) == (batch.id, 1)
    assert client.batches.retry(batch.id).id == again.id


@pytest.mark.usefixtures("paused")
def test_a_batch_is_listed_and_canceled(client: FluxRelay) -> None:
    """A batch is in the list; its jobs are listed by their filters; canceled, all of them end."""
    batch = client.batches.create([item(str(number)) for number in range(3)], defaults=DEFAULTS)

    assert client.batches.list(limit=1).items[0].id == batch.id
    assert batch.id in {found.id for found in client.batches.iterate(limit=1)}
    assert batch.id not in {found.id for found in client.batches.iterate(callback="dead")}
    with pytest.raises(WaitTimeoutError) as caught:
        client.batches.wait(batch, timeout=0)
    assert caught.value.last.id == batch.id
    with pytest.raises(ConflictError):
        client.batches.retry(batch)
    with pytest.raises(ConflictError):
        list(client.batches.results(batch))
    with pytest.raises(ConflictError):
        client.batches.link(batch)
    client.batches.cancel(batch)
    assert client.batches.wait(batch).counts.canceled == 3
    assert len(client.batches.jobs(batch, limit=2)) == 2
    jobs = list(client.batches.iterate_jobs(batch, status="canceled", limit=1))
    assert {job.batch and job.batch.custom_id for job in jobs} == {"0", "1", "2"}
    assert list(client.batches.iterate_jobs(batch, status="failed")) == []


def test_a_batch_with_every_option(client: FluxRelay, tmp_path: Path) -> None:
    """What was asked for holds for the batch and its jobs; a link to its results needs no key."""
    key = f"client/{uuid.uuid4().hex}.ndjson"

    batch = client.batches.create(
        [item("a"), item("b", deadline=7200)],
        defaults=DEFAULTS,
        behind_single_jobs=False,
        metadata={"order": 7},
        deadline=timedelta(hours=1),
        results_key=key,
    )
    ended = client.batches.wait(batch)

    times = {
        job.batch.custom_id: job.deadline_at - job.created_at
        for job in client.batches.iterate_jobs(batch)
        if job.batch and job.deadline_at
    }
    minutes = {name: round(time / timedelta(minutes=1)) for name, time in times.items()}
    assert minutes == {"a": 60, "b": 120}
    assert ended.results is not None
    assert (ended.results.key, ended.metadata) == (key, {"order": 7})
    file = httpx.get(client.batches.link(batch, expires=60, download="my.ndjson"), trust_env=False)
    assert "my.ndjson" in file.headers["content-disposition"]
    assert file.content == client.batches.save(ended, tmp_path / "results").read_bytes()


def test_a_file_of_items(client: FluxRelay, tmp_path: Path) -> None:
    """A path, an open file and bytes make the same batch as the items themselves."""
    lines = [{"defaults": DEFAULTS}, item("a")]
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    path = tmp_path / "items.ndjson"
    path.write_bytes(content)
    key = uuid.uuid4().hex

    ids = {
        client.batches.create([item("a")], defaults=DEFAULTS, idempotency_key=key).id,
        *(
            client.batches.create(source, idempotency_key=key).id
            for source in (path, io.BytesIO(content), content)
        ),
    }

    assert len(ids) == 1


def test_bad_items(client: FluxRelay) -> None:
    """With a bad item nothing is accepted and the error names it; skipped, it is listed."""
    items = [item("good"), item("bad", width=1)]

    with pytest.raises(InvalidItemsError) as caught:
        client.batches.create(items, defaults=DEFAULTS)
    batch = client.batches.create(items, defaults=DEFAULTS, on_error="skip")

    assert {error["custom_id"] for error in caught.value.errors} == {"bad"}
    assert caught.value.total == len(caught.value.errors)
    assert batch.counts.total == 1
    assert {error["custom_id"] for error in batch.rejected} == {"bad"}
    assert batch.rejected_total == len(batch.rejected)


def test_the_callback_of_a_batch(
    client: FluxRelay, receiver: CallbackReceiver, eventually: Eventually
) -> None:
    """It is verified, has the batch, and is sent again on request."""
    batch = client.batches.create([item("a")], defaults=DEFAULTS, callback=receiver.url)
    (received,) = receiver.wait_for(lambda _: True, timeout_seconds=60)

    callback = client.callbacks.verify(received.body, received.headers)

    assert (callback.type, callback.job) == ("batch.completed", None)
    assert callback.batch is not None
    assert (callback.batch.id, callback.batch.ended) == (batch.id, True)

    def delivered() -> bool:
        state = client.batches.get(batch).callback
        return state is not None and state.state == "delivered"

    eventually(delivered)
    assert client.batches.resend(batch).id == batch.id
    receiver.wait_for(lambda _: True, count=2, timeout_seconds=60)


def test_results_over_breaks(scripted: FluxRelay, service: ScriptedService) -> None:
    """Each line comes once, in order, in spite of breaks in the middle of the file."""
    lines = [
        json.dumps({"custom_id": str(number), "job_id": "a", "status": "failed"}).encode() + b"\n"
        for number in range(3)
    ]
    whole = b"".join(lines)
    service.says(
        hangs_up,
        answer(200, lines[0] + lines[1][:9], length=len(whole)),
        answer(200, lines[0] + lines[1], length=len(whole)),
        answer(200, whole),
    )

    results = list(scripted.batches.results("a-batch"))

    assert [result.custom_id for result in results] == ["0", "1", "2"]
    service.says(answer(200, b"no JSON\n"))
    with pytest.raises(FluxRelayError, match="not JSON"):
        list(scripted.batches.results("a-batch"))


def test_no_such_batch(client: FluxRelay) -> None:
    """A batch that is not there is an error of its own."""
    for call in (client.batches.get, client.batches.cancel, client.batches.retry):
        with pytest.raises(NotFoundError):
            call(NOBODY)
    with pytest.raises(NotFoundError):
        list(client.batches.results(NOBODY))
