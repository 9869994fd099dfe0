"""Webhooks: two shapes, a secret header, and retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Receiver, RunningSandbox, StartSandbox, WaitFor


def hooked(sandbox: RunningSandbox, receiver: Receiver, **body: object) -> str:
    """Submit a task with a webhook; return its id."""
    return sandbox.create(webhook_url=receiver.url, **{"prompt": "hooked", **body})


def test_the_shape_id(start_sandbox: StartSandbox, receiver: Receiver) -> None:
    """Success and failure in the shape with `id`."""
    sandbox = start_sandbox(WEBHOOK_SHAPE="id")
    ready = hooked(sandbox, receiver)
    body = receiver.wait(1)[0].body
    assert set(body) == {"id", "status", "result", "timestamp"}
    assert (body["id"], body["status"]) == (ready, "Ready")
    assert body["result"] == sandbox.ended(ready)["result"]
    moderated = hooked(sandbox, receiver, prompt="moderate-content")
    assert receiver.wait(2)[1].body == {
        "id": moderated,
        "status": "Content Moderated",
        "result": None,
        "details": {"Moderation Reasons": ["Violence"]},
    }


def test_the_shape_task_id(start_sandbox: StartSandbox, receiver: Receiver) -> None:
    """Success and failure in the shape with `task_id`."""
    sandbox = start_sandbox(WEBHOOK_SHAPE="task_id")
    ready = hooked(sandbox, receiver)
    assert receiver.wait(1)[0].body == {
        "task_id": ready,
        "status": "SUCCESS",
        "result": sandbox.ended(ready)["result"],
    }
    failed = hooked(sandbox, receiver, prompt="fail-generation")
    assert receiver.wait(2)[1].body == {
        "task_id": failed,
        "status": "ERROR",
        "result": None,
        "details": {"error": "Generation failed"},
    }
    hooked(sandbox, receiver, prompt="moderate-request")
    assert receiver.wait(3)[2].body["status"] == "REQUEST MODERATED"


def test_the_shapes_alternate(start_sandbox: StartSandbox, receiver: Receiver) -> None:
    """Without a choice, even tasks come in one shape and odd ones in the other."""
    sandbox = start_sandbox()
    tasks = [hooked(sandbox, receiver) for _ in range(4)]
    by_task = {hook.body.get("task_id"): "task_id" for hook in receiver.wait(4)}
    assert [by_task.get(task, "id") for task in tasks] == ["task_id", "id", "task_id", "id"]


@pytest.mark.parametrize("secret", ["s3cret with spaces", "Schl\u00fcssel"])
def test_the_secret_comes_verbatim(
    sandbox: RunningSandbox, receiver: Receiver, secret: str
) -> None:
    """The header holds the secret's UTF-8 bytes as they are, and the ledger does not."""
    task_id = hooked(sandbox, receiver, webhook_secret=secret)
    header = receiver.wait()[0].headers["x-webhook-secret"]
    assert header.encode("latin-1").decode() == secret
    assert sandbox.entry(task_id)["request"]["webhook_secret"] == "***"


def test_without_a_secret_there_is_no_header(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """A caller who sent no secret gets none."""
    hooked(sandbox, receiver)
    assert "x-webhook-secret" not in receiver.wait()[0].headers


def test_retries_end_with_success(start_sandbox: StartSandbox, receiver: Receiver) -> None:
    """After two failures the third attempt is delivered, with the same body, and is the last."""
    sandbox = start_sandbox(TIME_SCALE=0.05)
    receiver.statuses = [500, 404]
    task_id = hooked(sandbox, receiver)
    deliveries = sandbox.deliveries(task_id, 3)
    assert [(each["attempt"], each["status"]) for each in deliveries] == [
        (1, 500),
        (2, 404),
        (3, 200),
    ]
    bodies = [hook.body for hook in receiver.webhooks]
    assert bodies[0] == bodies[1] == bodies[2]


def test_after_four_attempts_it_gives_up(
    start_sandbox: StartSandbox, receiver: Receiver, wait_for: WaitFor
) -> None:
    """One attempt and three retries, then nothing more; a redirect is a failure too."""
    sandbox = start_sandbox(TIME_SCALE=0.05)
    receiver.statuses = [503, 302, 503, 503]
    task_id = hooked(sandbox, receiver)
    wait_for(lambda: f"task={task_id} given up" in sandbox.log.read_text())
    assert [each["attempt"] for each in sandbox.entry(task_id)["deliveries"]] == [1, 2, 3, 4]
    assert len(receiver.webhooks) == 4


def test_a_silent_receiver_is_tried_again(start_sandbox: StartSandbox, receiver: Receiver) -> None:
    """No answer within the scaled 30 s is a failed attempt."""
    sandbox = start_sandbox(TIME_SCALE=0.01)
    receiver.answering.clear()
    task_id = hooked(sandbox, receiver)
    first = sandbox.deliveries(task_id, 1)[0]
    assert (first["attempt"], first["error"]) == (1, "TimeoutError")
    receiver.wait(2)


def test_an_unreachable_receiver_is_noted(sandbox: RunningSandbox) -> None:
    """A refused connection stands in the ledger as an error, and the task is still ready."""
    task_id = sandbox.create(prompt="nobody home", webhook_url="http://127.0.0.1:1/x")
    assert sandbox.deliveries(task_id, 1)[0]["error"].startswith("ConnectError")
    assert sandbox.poll(task_id).json()["status"] == "Ready"
