"""Every fault on demand, its selection by prompt and count, and the refusal of bad ones."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from sandbox.faults.catalogue import FAULTS

if TYPE_CHECKING:
    from tests.sandbox.conftest import Receiver, RunningSandbox, StartSandbox


def hooked(sandbox: RunningSandbox, receiver: Receiver, prompt: str = "faulty") -> str:
    """Submit a task with a webhook; return its id."""
    return sandbox.create(prompt=prompt, webhook_url=receiver.url)


def read_into(received: bytearray, answer: httpx.Response) -> None:
    """Add what comes of the answer's body, up to where it breaks."""
    for chunk in answer.iter_raw():
        received.extend(chunk)


def made_with(sandbox: RunningSandbox, prompt: str) -> int:
    """Count the tasks of a prompt."""
    tasks = sandbox.ledger()["tasks"]
    return sum(task["request"].get("prompt") == prompt for task in tasks)


def test_drop_webhook(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """The chosen task is ready and its webhook never leaves; the next one's does."""
    sandbox.set_faults(drop_webhook={"match": "lost"})
    lost = hooked(sandbox, receiver, "lost one")
    sandbox.ended(lost)
    other = hooked(sandbox, receiver, "other one")
    sandbox.deliveries(other, 1)
    assert sandbox.entry(lost)["deliveries"] == []


def test_duplicate_webhook(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """The same body comes as often as asked."""
    sandbox.set_faults(duplicate_webhook={"copies": 3})
    task_id = hooked(sandbox, receiver)
    sandbox.deliveries(task_id, 3)
    first, second, third = (hook.body for hook in receiver.webhooks)
    assert first == second == third


def test_delay_webhook(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """The webhook is delivered no sooner after the task's end than asked."""
    sandbox.set_faults(delay_webhook={"seconds": 0.5})
    task_id = hooked(sandbox, receiver)
    (delivery,) = sandbox.deliveries(task_id, 1)
    delivered = datetime.fromisoformat(delivery["at"])
    finished = datetime.fromisoformat(sandbox.entry(task_id)["finished_at"])
    assert (delivered - finished).total_seconds() >= 0.499


def test_early_webhook(start_sandbox: StartSandbox, receiver: Receiver) -> None:
    """The webhook is there when the submit is answered, however long generation takes."""
    sandbox = start_sandbox(GENERATION_SECONDS=600)
    sandbox.set_faults(early_webhook={})
    task_id = hooked(sandbox, receiver)
    assert [hook.body["task_id"] for hook in receiver.webhooks] == [task_id]
    assert sandbox.poll(task_id).json()["status"] == "Ready"


def test_early_webhook_that_is_dropped(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """Two faults together: the submit is answered although no webhook is ever tried."""
    sandbox.set_faults(early_webhook={}, drop_webhook={})
    task_id = hooked(sandbox, receiver)
    assert sandbox.poll(task_id).json()["status"] == "Ready"
    assert receiver.webhooks == []


def test_delay_answer(sandbox: RunningSandbox) -> None:
    """The caller gives up waiting, and the task exists all the same."""
    sandbox.set_faults(delay_answer={"seconds": 5})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{sandbox.url}/v1/flux-pro-1.1",
            json={"prompt": "late answer"},
            headers={"x-key": "sandbox-key-1"},
            timeout=0.4,
            trust_env=False,
        )
    assert made_with(sandbox, "late answer") == 1


def test_cut_answer(sandbox: RunningSandbox) -> None:
    """The connection closes without an answer, and the task exists all the same."""
    sandbox.set_faults(cut_answer={"times": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.submit(prompt="cut answer")
    assert made_with(sandbox, "cut answer") == 1
    assert sandbox.submit(prompt="whole answer").status_code == 200


def test_refuse_submit(sandbox: RunningSandbox) -> None:
    """Status, body and Retry-After are as asked, no task is made, the ledger counts it."""
    before = sandbox.ledger()["rejections"].get("503", 0)
    asked = {"status": 503, "body": {"oh": "no"}, "retry_after": 7, "times": 1}
    sandbox.set_faults(refuse_submit=[asked, {"status": 402, "times": 1}])
    refused = sandbox.submit(prompt="refused")
    # Of two that fit, the later one has the last word, and both are spent.
    assert (refused.status_code, refused.json()) == (402, {"detail": "Payment Required"})
    sandbox.set_faults(refuse_submit=asked)
    refused = sandbox.submit(prompt="refused")
    assert (refused.status_code, refused.json()) == (503, {"oh": "no"})
    assert refused.headers["retry-after"] == "7"
    assert made_with(sandbox, "refused") == 0
    assert sandbox.ledger()["rejections"]["503"] == before + 1
    assert sandbox.submit(prompt="taken").status_code == 200


def test_unknown_status(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """The webhook carries the asked status; polling tells the truth."""
    sandbox.set_faults(unknown_status={"text": "Contemplating"})
    task_id = hooked(sandbox, receiver)
    assert receiver.wait()[0].body["status"] == "Contemplating"
    assert sandbox.poll(task_id).json()["status"] == "Ready"


def test_no_result(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """The webhook claims success and brings no result."""
    sandbox.set_faults(no_result={})
    hooked(sandbox, receiver)
    body = receiver.wait()[0].body
    assert body["status"] in {"Ready", "SUCCESS"}
    assert "result" not in body


def test_truncate_download(sandbox: RunningSandbox) -> None:
    """The whole length is announced and a part comes; it is no download for the ledger."""
    ended = sandbox.finished(prompt="truncated")
    sandbox.set_faults(truncate_download={"fraction": 0.25, "times": 1})
    url = ended["result"]["sample"]
    received = bytearray()
    with sandbox.client.stream("GET", url) as answer:
        with pytest.raises(httpx.RemoteProtocolError):
            read_into(received, answer)
        announced = int(answer.headers["content-length"])
    entry = sandbox.entry(ended["id"])
    assert announced == entry["bytes"]
    assert len(received) == entry["bytes"] // 4
    assert entry["downloads"] == 0
    assert sandbox.client.get(url).content.startswith(bytes(received))


def test_refuse_download(sandbox: RunningSandbox) -> None:
    """The picture answers with the asked status as often as asked."""
    url = sandbox.sample(prompt="refused picture")
    sandbox.set_faults(refuse_download={"status": 503, "times": 2})
    assert [sandbox.client.get(url).status_code for _ in range(3)] == [503, 503, 200]


def test_html_download(sandbox: RunningSandbox) -> None:
    """A page comes with status 200 instead of the picture."""
    url = sandbox.sample(prompt="page")
    sandbox.set_faults(html_download={})
    answer = sandbox.client.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_a_fault_counts_down_only_for_prompts_that_match(sandbox: RunningSandbox) -> None:
    """Other prompts neither feel the fault nor use it up; a spent fault is gone."""
    sandbox.set_faults(refuse_submit={"status": 500, "match": "unlucky", "times": 1})
    assert sandbox.submit(prompt="fine").status_code == 200
    shown = sandbox.client.get("/sandbox/faults").json()
    assert shown == {"refuse_submit": [{"status": 500, "match": "unlucky", "times": 1}]}
    assert sandbox.submit(prompt="an unlucky one").status_code == 500
    assert sandbox.client.get("/sandbox/faults").json() == {}
    assert sandbox.submit(prompt="an unlucky one").status_code == 200


def test_faults_are_replaced_and_cleared(sandbox: RunningSandbox) -> None:
    """POST leaves nothing of the faults before, DELETE leaves nothing at all."""
    sandbox.set_faults(cut_answer={})
    sandbox.set_faults(drop_webhook={})
    assert set(sandbox.client.get("/sandbox/faults").json()) == {"drop_webhook"}
    assert sandbox.client.delete("/sandbox/faults").json() == {}


@pytest.mark.parametrize(
    ("asked", "field_error"),
    [
        ({"no_such_fault": {}}, "no_such_fault: there is no such fault"),
        ({"cut_answer": {"speed": 1}}, "cut_answer.speed: there is no such parameter"),
        ({"cut_answer": {"times": 0}}, "cut_answer.times: must be whole number 1 to 1000000"),
        ({"cut_answer": {"match": 5}}, "cut_answer.match: must be text"),
        ({"cut_answer": True}, "cut_answer: must be an object of parameters, or a list of such"),
        ({"delay_answer": {}}, "delay_answer.seconds: must be number 0 to 3600"),
        ({"delay_answer": {"seconds": -1}}, "delay_answer.seconds: must be number 0 to 3600"),
        ({"refuse_submit": {"status": 200}}, "refuse_submit.status: must be whole number 400"),
        ({"refuse_submit": {"status": True}}, "refuse_submit.status: must be whole number 400"),
        ([], "the body must be a JSON object"),
    ],
)
def test_a_bad_fault_is_refused(sandbox: RunningSandbox, asked: object, field_error: str) -> None:
    """The answer says what is wrong and what there is, and the faults before stay in force."""
    sandbox.set_faults(drop_webhook={})
    answer = sandbox.client.post("/sandbox/faults", json=asked)
    assert answer.status_code == 422
    assert answer.json()["detail"][0].startswith(field_error)
    assert set(answer.json()["faults"]) == set(FAULTS)
    assert set(sandbox.client.get("/sandbox/faults").json()) == {"drop_webhook"}
