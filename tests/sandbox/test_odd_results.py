"""Results told otherwise than documented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Receiver, RunningSandbox

KEY = {"x-key": "sandbox-key-1"}


def _asked(sandbox: RunningSandbox, task_id: str) -> httpx.Response:
    url = f"{sandbox.url}/v1/get_result?id={task_id}"
    return httpx.get(url, headers=KEY, trust_env=False, timeout=60)


def _ended_with(sandbox: RunningSandbox, **faults: Any) -> str:
    task_id = sandbox.create(prompt="odd")
    sandbox.ended(task_id)
    sandbox.set_faults(**faults)
    return task_id


@pytest.mark.parametrize(
    ("kind", "status"), [("dead", 403), ("fresh", 200), ("list", 200), ("object", 200)]
)
def test_an_odd_link(sandbox: RunningSandbox, kind: str, status: int) -> None:
    """A dead link answers 403, the others lead to the picture, in whatever shape they are told."""
    task_id = _ended_with(sandbox, odd_poll_result={"kind": kind})

    sample = _asked(sandbox, task_id).json()["result"]["sample"]

    while not isinstance(sample, str):
        (sample,) = sample.values() if isinstance(sample, dict) else sample
    assert httpx.get(sample, trust_env=False, timeout=60).status_code == status


def test_links_that_must_not_be_called(sandbox: RunningSandbox) -> None:
    """One leads elsewhere, one is a path alone, one holds a password, and there are two."""
    task_id = _ended_with(sandbox)
    told: dict[str, Any] = {}
    for kind in ("foreign", "malformed", "userinfo", "two", "empty"):
        sandbox.set_faults(odd_poll_result={"kind": kind})
        told[kind] = _asked(sandbox, task_id).json()["result"]["sample"]

    assert told["foreign"].startswith("https://images.example/")
    assert told["malformed"].startswith("/results/")
    assert "//user:secret@127.0.0.1" in told["userinfo"]
    assert len(told["two"]) == 2
    assert told["empty"] == ""


def test_results_of_another_shape(sandbox: RunningSandbox) -> None:
    """The result as a whole is a list's holder, a text or nothing."""
    task_id = _ended_with(sandbox)
    told: dict[str, Any] = {}
    for kind in ("samples", "text", "null"):
        sandbox.set_faults(odd_poll_result={"kind": kind})
        told[kind] = _asked(sandbox, task_id).json()["result"]

    assert told["samples"] == {"samples": [told["text"]]}
    assert told["null"] is None


def test_an_odd_webhook(sandbox: RunningSandbox, receiver: Receiver) -> None:
    """The webhook tells it, and get_result tells it as documented."""
    sandbox.set_faults(odd_result={"kind": "list"})
    task_id = sandbox.create(prompt="odd", webhook_url=receiver.url)
    sandbox.deliveries(task_id, 1)

    (hook,) = receiver.webhooks
    assert hook.body["result"]["sample"] == [_asked(sandbox, task_id).json()["result"]["sample"]]


def test_a_redirected_and_a_swollen_poll(sandbox: RunningSandbox) -> None:
    """One leads elsewhere, the other has details without end."""
    task_id = _ended_with(sandbox, redirect_poll={"times": 1}, swell_poll={"size": 1000})

    assert _asked(sandbox, task_id).status_code == 307
    assert len(_asked(sandbox, task_id).json()["details"]["trace"]) == 1000
