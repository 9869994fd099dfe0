"""Credits that run out and come back, and the finetunes of an account."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox, StartSandbox

KEY = "sandbox-key-1"
OTHER_KEY = "sandbox-key-2"
ACCOUNT = hashlib.sha256(KEY.encode()).hexdigest()[:8]


def test_credits_run_out_and_come_back(start_sandbox: StartSandbox) -> None:
    """402 once the credits do not suffice, running tasks included; 200 after they were set."""
    poor = start_sandbox(CREDITS=9, GENERATION_SECONDS=600)
    poor.create(prompt="four")
    poor.create(prompt="eight")
    assert poor.credits() == 1
    refused = poor.submit(prompt="too much")
    assert (refused.status_code, refused.json()) == (402, {"detail": "Insufficient credits"})
    assert poor.submit("flux-pro-1.1", OTHER_KEY, prompt="not mine").status_code == 200
    asked = {"credits": 4, "account": ACCOUNT}
    assert poor.client.post("/sandbox/credits", json=asked).json()[ACCOUNT] == 4
    assert poor.submit(prompt="enough again").status_code == 200
    assert poor.submit(prompt="too much again").status_code == 402
    assert poor.ledger()["rejections"]["402"] == 2
    assert poor.client.get("/sandbox/credits").json()[ACCOUNT] == poor.credits() == 0


def test_a_task_without_a_picture_is_refunded(start_sandbox: StartSandbox) -> None:
    """Credits are back when generation fails."""
    poor = start_sandbox(CREDITS=4)
    poor.finished(prompt="fail-generation")
    assert poor.credits() == 4
    poor.finished(prompt="fine")
    assert poor.submit(prompt="fine").status_code == 402


@pytest.mark.parametrize(
    "asked", [{}, [], {"credits": "many"}, {"credits": True}, {"credits": 1, "account": "nobody"}]
)
def test_bad_credits_are_refused(sandbox: RunningSandbox, asked: object) -> None:
    """The answer names the accounts, and nothing changes."""
    before = sandbox.client.get("/sandbox/credits").json()
    answer = sandbox.client.post("/sandbox/credits", json=asked)
    assert answer.status_code == 422
    assert set(answer.json()["accounts"]) == set(before)
    assert sandbox.client.get("/sandbox/credits").json() == before


def test_finetunes_are_listed_told_used_and_deleted(start_sandbox: StartSandbox) -> None:
    """One account's deletion leaves the other's finetune, and a deleted one cannot be used."""
    sandbox = start_sandbox(FINETUNES="first,second")
    mine, other = {"x-key": KEY}, {"x-key": OTHER_KEY}
    named = {"finetune_id": "first"}
    get, post = sandbox.client.get, sandbox.client.post
    assert get("/v1/my_finetunes", headers=mine).json() == {"finetunes": ["first", "second"]}
    told = get("/v1/finetune_details", params=named, headers=mine).json()
    assert told["finetune_details"]["finetune_id"] == "first"
    assert sandbox.submit("flux-pro-1.1-ultra-finetuned", **named).status_code == 200
    deleted = post("/v1/delete_finetune", json=named, headers=mine).json()
    assert set(deleted) == {"status", "message", "deleted_finetune_id", "timestamp"}
    assert deleted["deleted_finetune_id"] == "first"
    assert get("/v1/my_finetunes", headers=mine).json() == {"finetunes": ["second"]}
    assert get("/v1/my_finetunes", headers=other).json() == {"finetunes": ["first", "second"]}
    unknown = {"detail": "Finetune not found or access denied"}
    for answer in (
        get("/v1/finetune_details", params=named, headers=mine),
        post("/v1/delete_finetune", json=named, headers=mine),
    ):
        assert (answer.status_code, answer.json()) == (404, unknown)
    refused = sandbox.submit("flux-pro-1.1-ultra-finetuned", **named)
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        "Finetune not found or not ready",
    )


def test_the_utility_routes_check_what_they_get(sandbox: RunningSandbox) -> None:
    """No key is 403 on each, no finetune is an error with its place."""
    paths = (
        ("GET", "/v1/my_finetunes"),
        ("GET", "/v1/finetune_details"),
        ("POST", "/v1/delete_finetune"),
    )
    for method, path in paths:
        assert sandbox.client.request(method, path).status_code == 403
    headers = {"x-key": KEY}
    details = sandbox.client.get("/v1/finetune_details", headers=headers)
    assert details.json()["detail"][0]["loc"] == ["query", "finetune_id"]
    deletion = sandbox.client.post("/v1/delete_finetune", json={}, headers=headers)
    assert deletion.json()["detail"][0]["loc"] == ["body", "finetune_id"]
    assert (details.status_code, deletion.status_code) == (422, 422)
