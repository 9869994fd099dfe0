"""Submitting a task and asking for it, with the limits and refusals on the way."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.sandbox.conftest import Receiver, RunningSandbox, StartSandbox

KEY = "sandbox-key-1"
OTHER_KEY = "sandbox-key-2"
NULLS = {"cost": None, "input_mp": None, "output_mp": None}


def image_base64(side: int = 64) -> str:
    """Return a small PNG as base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_submit_without_webhook_gives_a_polling_url(sandbox: RunningSandbox) -> None:
    """The answer is exactly AsyncResponse, and its address leads to the result."""
    body = sandbox.submit(prompt="plain").json()
    expected = f"{sandbox.url}/v1/get_result?id={body['id']}"
    assert body == {"id": str(UUID(body["id"])), "polling_url": expected, **NULLS}
    assert sandbox.client.get(body["polling_url"]).json()["id"] == body["id"]


def test_a_submit_with_webhook_gives_no_polling_url(
    sandbox: RunningSandbox, receiver: Receiver
) -> None:
    """The answer is exactly AsyncWebhookResponse."""
    body = sandbox.submit(prompt="hooked", webhook_url=receiver.url).json()
    assert body == {
        "id": str(UUID(body["id"])),
        "status": "Pending",
        "webhook_url": receiver.url,
        **NULLS,
    }


def test_a_task_is_pending_with_progress_until_it_is_ready(start_sandbox: StartSandbox) -> None:
    """Progress lies between 0 and 1 while the task runs and is gone once it has ended."""
    slow = start_sandbox(GENERATION_SECONDS=1.5)
    task_id = slow.create(prompt="slow", seed=11)
    running = slow.poll(task_id).json()
    assert set(running) == {"id", "status", "result", "progress", "details", "preview"}
    assert (running["status"], running["result"]) == ("Pending", None)
    assert 0 <= running["progress"] < 1
    ended = slow.ended(task_id)
    assert (ended["status"], ended["progress"], ended["cost"]) == ("Ready", None, 4)
    result = ended["result"]
    assert set(result) == {"sample", "prompt", "seed", "start_time", "end_time", "duration"}
    assert (result["prompt"], result["seed"]) == ("slow", 11)
    assert result["duration"] == pytest.approx(result["end_time"] - result["start_time"])
    assert result["duration"] >= 1.5


def test_an_unknown_id_is_404_with_a_result_body(sandbox: RunningSandbox) -> None:
    """Asking for a task that is not there gives the status `Task not found`."""
    answer = sandbox.poll("nobody")
    assert answer.status_code == 404
    assert answer.json()["id"] == "nobody"
    assert answer.json()["status"] == "Task not found"


def test_asking_without_an_id_is_a_validation_error(sandbox: RunningSandbox) -> None:
    """The missing query parameter is named."""
    answer = sandbox.client.get("/v1/get_result")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "id"]


def test_get_result_does_not_look_at_the_key(sandbox: RunningSandbox) -> None:
    """A wrong key does not keep anyone from a result."""
    task_id = sandbox.create(prompt="open")
    headers = {"x-key": "wrong-key-0"}
    answer = sandbox.client.get("/v1/get_result", params={"id": task_id}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/v1/flux-pro-1.1", "/v1/credits"])
@pytest.mark.parametrize(
    ("headers", "status", "detail"),
    [
        ({}, 403, "Not authenticated"),
        ({"x-key": "wrong-key-0"}, 403, "Not authenticated - Invalid Authentication"),
        ({"x-key": "short"}, 422, "Invalid API key format"),
        ({"x-key": "two words here"}, 422, "Invalid API key format"),
    ],
)
def test_a_bad_key_is_refused(
    sandbox: RunningSandbox, path: str, headers: dict[str, str], status: int, detail: str
) -> None:
    """Each kind of bad key gets the status and sentence the provider gives."""
    method = "GET" if path.endswith("credits") else "POST"
    answer = sandbox.client.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


def test_an_unknown_model_is_not_found(sandbox: RunningSandbox) -> None:
    """A model that is not offered is an unknown path; a reading path takes no POST."""
    unknown = sandbox.submit("flux-none")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})
    assert sandbox.submit("get_result").status_code == 405


def test_the_account_has_24_slots_of_which_6_for_kontext_max(start_sandbox: StartSandbox) -> None:
    """Both limits answer 429, another account is not touched, and the ledger counts it."""
    full = start_sandbox(GENERATION_SECONDS=600)
    for _ in range(6):
        full.create("flux-kontext-max", prompt="max")
    assert full.submit("flux-kontext-max", prompt="max").status_code == 429
    for _ in range(18):
        full.create(prompt="pro")
    refused = full.submit(prompt="pro")
    assert refused.status_code == 429
    assert "24" in refused.json()["detail"]
    full.create("flux-pro-1.1", OTHER_KEY, prompt="other account")
    ledger = full.ledger()
    assert len(ledger["tasks"]) == ledger["active_now"] == ledger["active_most"] == 25
    assert ledger["rejections"]["429"] == 2
    assert sorted(ledger["active_most_by_account"].values()) == [1, 24]
    assert ledger["active_most_by_model"] == {"flux-kontext-max": 6, "flux-3-video": 0}


def test_an_ended_task_frees_its_slot(start_sandbox: StartSandbox) -> None:
    """With one slot, the next task is taken once the first has ended."""
    single = start_sandbox(SLOTS="1", GENERATION_SECONDS=0.5)
    first = single.create(prompt="first")
    assert single.submit(prompt="second").status_code == 429
    single.ended(first)
    single.create(prompt="second")
    assert single.ledger()["active_most"] == 1


@pytest.mark.parametrize(
    ("word", "status", "details"),
    [
        ("moderate-request", "Request Moderated", {"Moderation Reasons": ["Violence"]}),
        ("moderate-content", "Content Moderated", {"Moderation Reasons": ["Violence"]}),
        ("fail-generation", "Error", {"error": "Generation failed"}),
    ],
)
def test_a_word_in_the_prompt_decides_the_ending(
    sandbox: RunningSandbox, word: str, status: str, details: dict[str, object]
) -> None:
    """Such a task ends without a result, says why, and costs nothing."""
    ended = sandbox.finished(prompt=f"please {word} now")
    assert (ended["status"], ended["result"], ended["details"]) == (status, None, details)
    assert "cost" not in ended


@pytest.mark.parametrize(
    ("model", "field", "value", "status"),
    [
        ("flux-kontext-pro", "input_image", image_base64(), "Ready"),
        ("flux-kontext-pro", "input_image_4", "data:image/png;base64," + image_base64(), "Ready"),
        ("flux-kontext-pro", "input_image", "https://example.com/never-fetched.png", "Ready"),
        ("flux-kontext-pro", "input_image", "%%% not base64", "Error"),
        ("flux-kontext-pro", "input_image", "aGVsbG8gd29ybGQ=", "Error"),
        ("flux-kontext-pro", "input_image", image_base64()[:80], "Error"),
        ("flux-pro-1.1", "image_prompt", image_base64(), "Ready"),
        ("flux-pro-1.1", "image_prompt", "https://example.com/no-urls-here.png", "Error"),
    ],
)
def test_input_images_must_be_images(
    sandbox: RunningSandbox, model: str, field: str, value: str, status: str
) -> None:
    """An image that cannot be used ends the task in Error; an address is taken unread."""
    ended = sandbox.finished(model, prompt="edit", **{field: value})
    assert ended["status"] == status
    if status == "Error":
        assert ended["details"] == {"error": "Invalid or corrupted image input"}


def test_an_input_image_over_20_megapixels_is_refused(sandbox: RunningSandbox) -> None:
    """A small file can hold too many pixels."""
    ended = sandbox.finished("flux-kontext-pro", prompt="big", input_image=image_base64(4473))
    assert ended["status"] == "Error"


def test_credits_go_down_by_the_price_of_finished_tasks(start_sandbox: StartSandbox) -> None:
    """A ready Kontext Max picture costs 8 credits of its own account only; a failed one none."""
    fresh = start_sandbox()

    def left(key: str) -> float:
        return float(fresh.client.get("/v1/credits", headers={"x-key": key}).json()["credits"])

    before = left(KEY)
    fresh.finished("flux-kontext-max", prompt="costly")
    fresh.finished("flux-kontext-max", prompt="fail-generation")
    assert left(KEY) == before - 8
    assert left(OTHER_KEY) == before
