"""Faults of submits and polls: answers that lie, crawl or never come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox, StartSandbox, WaitFor

KEY = {"x-key": "sandbox-key-1"}
REASONS = {"Moderation Reasons": ["X"]}


def made_with(sandbox: RunningSandbox, prompt: str) -> list[Any]:
    """Return the ledger's pages of a prompt's tasks."""
    return [page for page in sandbox.ledger()["tasks"] if page["request"].get("prompt") == prompt]


def test_fail_answer(sandbox: RunningSandbox) -> None:
    """The answer is a server's error, and the task exists; that is no rejection."""
    before = sandbox.ledger()["rejections"].get("502", 0)
    sandbox.set_faults(fail_answer={"status": 502, "body": "bad", "retry_after": 3, "times": 1})
    answer = sandbox.submit(prompt="failed answer")
    assert (answer.status_code, answer.json()) == (502, "bad")
    assert answer.headers["retry-after"] == "3"
    (page,) = made_with(sandbox, "failed answer")
    assert sandbox.ended(page["id"])["status"] == "Ready"
    assert sandbox.ledger()["rejections"].get("502", 0) == before


def test_cut_answer_before_the_task_is_made(sandbox: RunningSandbox, wait_for: WaitFor) -> None:
    """The connection is closed first, and the task comes into being after that."""
    sandbox.set_faults(cut_answer={"seconds": 0.5})
    with pytest.raises(httpx.RemoteProtocolError):
        sandbox.submit(prompt="late task")
    assert made_with(sandbox, "late task") == []
    (page,) = wait_for(lambda: made_with(sandbox, "late task"))
    assert sandbox.ended(page["id"])["status"] == "Ready"


def test_a_late_task_still_needs_a_slot(start_sandbox: StartSandbox, wait_for: WaitFor) -> None:
    """Where none is free when its time has come, it counts as rejected."""
    full = start_sandbox(SLOTS="1", GENERATION_SECONDS=600)
    full.set_faults(cut_answer={"seconds": 0.3, "times": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        full.submit(prompt="too late")
    full.create(prompt="sooner")
    wait_for(lambda: full.ledger()["rejections"]["429"] == 1)
    assert made_with(full, "too late") == []


@pytest.mark.parametrize("fault", ["trickle_answer", "trickle_poll"])
def test_a_trickling_answer_is_whole_in_the_end(sandbox: RunningSandbox, fault: str) -> None:
    """It comes in many pieces, outlives a short read timeout, and is as long as announced."""
    task_id = sandbox.create(prompt="before")
    sandbox.set_faults(**{fault: {"seconds": 0.6}})
    client = httpx.Client(trust_env=False, timeout=0.4, headers=KEY)
    request = (
        client.build_request("POST", f"{sandbox.url}/v1/flux-pro-1.1", json={"prompt": "x"})
        if fault == "trickle_answer"
        else client.build_request("GET", f"{sandbox.url}/v1/get_result?id={task_id}")
    )
    with client:
        answer = client.send(request, stream=True)
        pieces = list(answer.iter_raw())
    assert len(pieces) > 5
    assert len(b"".join(pieces)) == int(answer.headers["content-length"])


def test_delay_generation_and_hide_task(start_sandbox: StartSandbox) -> None:
    """A task cannot be found at first, then runs for long; only the fault's task is concerned."""
    sandbox = start_sandbox()
    sandbox.set_faults(
        delay_generation={"seconds": 600, "match": "slow"},
        hide_task={"seconds": 600, "match": "slow", "times": 2},
    )
    slow, other = sandbox.create(prompt="slow one"), sandbox.create(prompt="other")
    assert sandbox.ended(other)["status"] == "Ready"
    answers = [sandbox.poll(slow) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404, 404, 200]
    assert [answer.json()["status"] for answer in answers] == [
        "Task not found",
        "Task not found",
        "Pending",
    ]


def test_hide_task_for_a_time_and_for_ever(sandbox: RunningSandbox, wait_for: WaitFor) -> None:
    """With seconds the task turns up, without them it never does."""
    sandbox.set_faults(hide_task={"seconds": 0.5})
    task_id = sandbox.create(prompt="hidden")
    assert sandbox.poll(task_id).status_code == 404
    wait_for(lambda: sandbox.poll(task_id).status_code == 200)
    sandbox.set_faults(hide_task={"task": task_id})
    assert sandbox.poll(task_id).status_code == 404
    assert sandbox.poll(sandbox.create(prompt="other")).status_code == 200


def test_error_poll(sandbox: RunningSandbox) -> None:
    """get_result answers 422 with a task's body; without the fault it tells the truth."""
    task_id = sandbox.finished(prompt="fine")["id"]
    sandbox.set_faults(error_poll={"text": "Broken image", "times": 1})
    answer = sandbox.poll(task_id)
    assert answer.status_code == 422
    assert (answer.json()["id"], answer.json()["status"]) == (task_id, "Error")
    assert answer.json()["details"] == {"error": "Broken image"}
    assert sandbox.poll(task_id).json()["status"] == "Ready"


def test_refuse_poll_and_delay_poll(sandbox: RunningSandbox) -> None:
    """A poll fails as asked, and another is answered later than its client waits."""
    task_id = sandbox.create(prompt="asked")
    sandbox.set_faults(refuse_poll={"status": 500, "retry_after": 1, "times": 1})
    answer = sandbox.poll(task_id)
    assert (answer.status_code, answer.headers["retry-after"]) == (500, "1")
    assert answer.json() == {"detail": "Internal Server Error"}
    sandbox.set_faults(delay_poll={"seconds": 5})
    with pytest.raises(httpx.ReadTimeout):
        sandbox.client.get("/v1/get_result", params={"id": task_id}, timeout=0.3)


@pytest.mark.parametrize(
    ("asked", "details"),
    [
        ({"status": "Content Moderated", "details": REASONS}, REASONS),
        ({"status": "Request Moderated"}, None),
        ({"status": "Error", "details": {"error": "Oops"}}, {"error": "Oops"}),
    ],
)  # fmt: skip
def test_end_task(sandbox: RunningSandbox, asked: dict[str, object], details: object) -> None:
    """Any task can be made to end badly, also one that takes no prompt."""
    sandbox.set_faults(end_task={**asked, "model": "flux-tools/deblur-v1"})
    ended = sandbox.finished("flux-tools/deblur-v1", image="https://example.com/x.png")
    assert (ended["status"], ended["details"]) == (asked["status"], details)
    assert sandbox.finished(prompt="another model")["status"] == "Ready"


@pytest.mark.parametrize(
    ("prompt", "reasons"),
    [
        ("moderate-request=Derivative-Works-Filter now", ["Derivative Works Filter"]),
        ("moderate-content=Sexual-Content+Violence.", ["Sexual Content", "Violence"]),
        ("moderate-content", ["Violence"]),
        ("moderate-content=none", None),
    ],
)
def test_moderation_names_the_asked_reasons(
    sandbox: RunningSandbox, prompt: str, reasons: list[str] | None
) -> None:
    """Reasons stand in the details, and in the ledger."""
    ended = sandbox.finished(prompt=prompt)
    details = None if reasons is None else {"Moderation Reasons": reasons}
    assert ended["details"] == sandbox.entry(ended["id"])["details"] == details


def test_a_fault_for_one_account(sandbox: RunningSandbox) -> None:
    """The other account does not feel it, and its name is that of the ledger."""
    account = sandbox.entry(sandbox.create(prompt="who"))["account"]
    sandbox.set_faults(refuse_submit={"status": 403, "account": account})
    assert sandbox.submit(prompt="mine").status_code == 403
    assert sandbox.submit("flux-pro-1.1", "sandbox-key-2", prompt="other").status_code == 200


@pytest.mark.parametrize(
    ("asked", "field_error"),
    [
        ({"end_task": {"status": "Ready"}}, "end_task.status: must be one of Request Moderated,"),
        ({"cut_answer": {"model": "flux-9"}}, "cut_answer.model: must be one of flux-kontext-pro,"),
        ({"cut_answer": {"host": "eu"}}, "cut_answer.host: must be one of global"),
        ({"route_submit": {"region": "eu"}}, "route_submit.region: must be one of the regions"),
        ({"route_submit": {}}, "route_submit.region: must be text"),
    ],
)
def test_a_bad_choice_is_refused(sandbox: RunningSandbox, asked: object, field_error: str) -> None:
    """Names that this sandbox does not know would never match, so they are not taken."""
    answer = sandbox.client.post("/sandbox/faults", json=asked)
    assert answer.status_code == 422
    assert answer.json()["detail"][0].startswith(field_error)


def test_shed_submit(sandbox: RunningSandbox) -> None:
    """The answer is the provider's 503 for a submit that made nothing, and nothing is made."""
    sandbox.set_faults(shed_submit={"retry_after": 2, "times": 1})
    answer = sandbox.submit(prompt="shed")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["detail"].endswith("over capacity and temporarily shedding requests")
    assert made_with(sandbox, "shed") == []
    assert sandbox.submit(prompt="shed").status_code == 200


def test_odd_poll_status(sandbox: RunningSandbox) -> None:
    """The task's normal body comes with the status of an error, whatever the task's state."""
    for prompt in ("fine", "fail-generation"):
        ended = sandbox.finished(prompt=prompt)
        sandbox.set_faults(odd_poll_status={"status": 503, "times": 1})
        answer = sandbox.poll(ended["id"])
        assert (answer.status_code, answer.json()) == (503, ended)
        assert sandbox.poll(ended["id"]).status_code == 200
