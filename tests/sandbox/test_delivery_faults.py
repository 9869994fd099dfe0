"""Faults of webhooks and downloads: forged, early, late, and pictures that are not whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from sandbox.faults.catalogue import FORGED_SAMPLE

if TYPE_CHECKING:
    from tests.sandbox.conftest import Receiver, RunningSandbox, StartSandbox


def hooked(sandbox: RunningSandbox, receiver: Receiver, prompt: str = "faulty") -> str:
    """Submit a task with a webhook and a secret; return its id."""
    return sandbox.create(prompt=prompt, webhook_url=receiver.url, webhook_secret="the-true-one")


def read_into(received: bytearray, answer: httpx.Response) -> None:
    """Add what comes of the answer's body, up to where it breaks."""
    for chunk in answer.iter_raw():
        received.extend(chunk)


@pytest.mark.parametrize("shape", ["id", "task_id"])
def test_forge_webhook(start_sandbox: StartSandbox, receiver: Receiver, shape: str) -> None:
    """A webhook of the right shape with the wrong secret comes first; the ledger marks it."""
    sandbox = start_sandbox(WEBHOOK_SHAPE=shape)
    sandbox.set_faults(forge_webhook={})
    task_id = hooked(sandbox, receiver, "fail-generation")
    forged, true = receiver.wait(2)
    assert forged.headers["x-webhook-secret"] == "forged-secret"
    assert true.headers["x-webhook-secret"] == "the-true-one"
    assert forged.body[shape] == true.body[shape] == task_id
    assert forged.body["status"] == {"id": "Ready", "task_id": "SUCCESS"}[shape]
    assert forged.body["result"]["sample"] == FORGED_SAMPLE
    assert true.body["status"] in {"Error", "ERROR"}
    marks = [each.get("forged", False) for each in sandbox.deliveries(task_id, 2)]
    assert marks == [True, False]


def test_forge_webhook_alone_and_without_a_secret(
    sandbox: RunningSandbox, receiver: Receiver
) -> None:
    """With the true one dropped, only the forged one comes; an empty secret is no header."""
    asked = {"secret": "", "sample": "http://127.0.0.1:1/x.png"}
    sandbox.set_faults(forge_webhook=asked, drop_webhook={})
    task_id = hooked(sandbox, receiver)
    (forged,) = receiver.wait()
    assert "x-webhook-secret" not in forged.headers
    assert forged.body["result"]["sample"] == asked["sample"]
    assert [each["forged"] for each in sandbox.deliveries(task_id, 1)] == [True]


def test_progress_webhook(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """One that says nothing final comes before the true one and another after it."""
    sandbox.set_faults(progress_webhook={"text": "processing"})
    hooked(sandbox, receiver)
    first, true, last = (hook.body for hook in receiver.wait(3))
    assert first == last
    assert (first["status"], first["result"]) == ("processing", None)
    assert true["status"] in {"Ready", "SUCCESS"}


def test_reorder_webhook(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """The first task's webhook waits for the second's, although it ended sooner."""
    sandbox.set_faults(reorder_webhook={"seconds": 10})
    prompts = ["first", "second"]
    first = hooked(sandbox, receiver, prompts[0])
    sandbox.ended(first)
    second = hooked(sandbox, receiver, prompts[1])
    came = [hook.body["result"]["prompt"] for hook in receiver.wait(2)]
    assert came == ["second", "first"]
    assert sandbox.deliveries(second, 1)[0]["at"] <= sandbox.deliveries(first, 1)[0]["at"]


def test_reorder_webhook_without_another(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """A webhook that nothing overtakes is sent all the same."""
    sandbox.set_faults(reorder_webhook={"seconds": 0.1})
    task_id = hooked(sandbox, receiver)
    assert sandbox.deliveries(task_id, 1)[0]["status"] == 200


def test_corrupt_download(sandbox: RunningSandbox) -> None:
    """The length is right and exactly so many bits are wrong; a spoilt one is not counted."""
    ended = sandbox.finished("flux-kontext-pro", prompt="wrong bits")
    url = ended["result"]["sample"]
    whole = sandbox.client.get(url).content
    sandbox.set_faults(corrupt_download={"flips": 3, "task": ended["id"]})
    wrong = sandbox.client.get(url).content
    assert len(wrong) == len(whole)
    assert sum((a ^ b).bit_count() for a, b in zip(whole, wrong, strict=True)) == 3
    assert sandbox.entry(ended["id"])["downloads"] == 1


def test_stall_download(sandbox: RunningSandbox) -> None:
    """A part comes, then nothing until the client gives up."""
    ended = sandbox.finished(prompt="stalled")
    sandbox.set_faults(stall_download={"fraction": 0.5, "seconds": 600})
    received = bytearray()
    with sandbox.client.stream("GET", ended["result"]["sample"], timeout=0.4) as answer:
        with pytest.raises(httpx.ReadTimeout):
            read_into(received, answer)
        assert int(answer.headers["content-length"]) == sandbox.entry(ended["id"])["bytes"]
    assert len(received) == sandbox.entry(ended["id"])["bytes"] // 2
    assert sandbox.entry(ended["id"])["downloads"] == 0


def test_stall_download_ends_in_a_cut(sandbox: RunningSandbox) -> None:
    """After the silence the connection closes, short of the announced length."""
    ended = sandbox.finished(prompt="stalled and cut")
    sandbox.set_faults(stall_download={"fraction": 0.5, "seconds": 0.2})
    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.client.get(ended["result"]["sample"])


def test_trickle_download(sandbox: RunningSandbox) -> None:
    """The picture is whole in the end, however slowly it came."""
    ended = sandbox.finished(prompt="slow")
    whole = sandbox.client.get(ended["result"]["sample"]).content
    sandbox.set_faults(trickle_download={"seconds": 0.5})
    answer = sandbox.client.get(ended["result"]["sample"], timeout=0.4)
    assert answer.content == whole
    assert sandbox.entry(ended["id"])["downloads"] == 2


def test_slow_answers_do_not_hold_others(sandbox: RunningSandbox) -> None:
    """While one client waits for a stalled picture, another is served."""
    url = sandbox.sample(prompt="one of two")
    sandbox.set_faults(stall_download={"seconds": 600, "times": 1})
    with (
        httpx.Client(trust_env=False, timeout=60) as other,
        sandbox.client.stream("GET", url) as stalled,
    ):
        assert stalled.status_code == 200
        assert other.get(url).status_code == 200
