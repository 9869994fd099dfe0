"""Answers to a submit that was taken which name the task oddly, or not at all."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox


@pytest.mark.parametrize("shape", ["number_id", "polling_url", "foreign_url", "nothing", "list"])
def test_odd_answer(sandbox: RunningSandbox, shape: str) -> None:
    """The answer is a 200 in the shape asked for, and the task is made all the same."""
    prompt = f"odd {shape}"
    sandbox.set_faults(odd_answer={"shape": shape, "times": 1})
    answer = sandbox.submit(prompt=prompt)
    assert answer.status_code == 200
    (page,) = [p for p in sandbox.ledger()["tasks"] if p["request"].get("prompt") == prompt]
    body: Any = answer.json()
    if shape == "number_id":
        assert sandbox.ended(str(body["id"]))["id"] == page["id"]
    elif shape == "polling_url":
        assert body["id"] is None
        assert body["polling_url"].endswith(f"/v1/get_result?id={page['id']}")
    elif shape == "foreign_url":
        assert body["polling_url"].startswith("https://elsewhere.invalid/")
    else:
        assert not isinstance(body, dict) or body == {}
    assert sandbox.ended(page["id"])["status"] == "Ready"


def test_a_page_as_an_answer(sandbox: RunningSandbox) -> None:
    """A 200 that is no JSON, for a task that is made."""
    sandbox.set_faults(odd_answer={"shape": "html", "times": 1})
    answer = sandbox.submit(prompt="odd page")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_retry_after_as_a_date(sandbox: RunningSandbox) -> None:
    """A refusal may say when, instead of how long."""
    asked = {"status": 429, "retry_after": 60, "retry_form": "date", "times": 1}
    sandbox.set_faults(refuse_submit=asked)
    answer = sandbox.submit(prompt="later")
    assert parsedate_to_datetime(answer.headers["retry-after"]).tzinfo is not None


def test_a_number_beyond_all_ids_is_no_task(sandbox: RunningSandbox) -> None:
    """It is not found, however long it is."""
    assert sandbox.poll("9" * 400).status_code == 404
