"""The limit that all video models share, and how long the links to results live."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox, StartSandbox

OTHER_KEY = "sandbox-key-2"
URL = "https://example.com/x.mp4"
TEXT: dict[str, object] = {"mode": "t2v", "prompt": "waves"}
SUBMITS: list[tuple[str, dict[str, object]]] = [
    ("flux-3-video", TEXT),
    ("flux-tools/video-edit-v1", {"video": URL, "prompt": "at night"}),
    ("flux-tools/video-upscale-v1", {"input_video": URL}),
    ("flux-3-video", {**TEXT, "draft": True}),
    ("flux-3-video", {"mode": "v2v", "prompt": "waves", "start_video": URL}),
]


def test_an_account_has_five_active_videos_of_all_kinds(start_sandbox: StartSandbox) -> None:
    """A sixth is 429 on every endpoint; images and other accounts are not concerned."""
    full = start_sandbox(GENERATION_SECONDS=600)
    for model, body in SUBMITS:
        full.create(model, **body)

    for model, body in SUBMITS[:3]:
        refused = full.submit(model, **body)
        assert refused.status_code == 429
        assert "Too many active tasks" in refused.json()["detail"]
    full.create("flux-3-image", prompt="still possible")
    full.create("flux-3-video", OTHER_KEY, **TEXT)
    assert full.ledger()["active_most_by_model"]["flux-3-video"] == 5


def test_a_video_that_ends_makes_room(start_sandbox: StartSandbox) -> None:
    """With room for one, the next is taken when the first has ended."""
    single = start_sandbox(SLOTS="24,flux-3-video=1", GENERATION_SECONDS=0.5)
    first = single.create("flux-3-video", **TEXT)
    assert single.submit("flux-tools/video-upscale-v1", input_video=URL).status_code == 429
    single.ended(first)
    single.create("flux-tools/video-upscale-v1", input_video=URL)


@pytest.mark.parametrize(
    ("model", "body", "seconds"),
    [
        ("flux-pro-1.1", {}, 600),
        ("flux-3-image", {"prompt": "x", "resolution": "768sq"}, 3600),
        *((model, body, 7200) for model, body in SUBMITS[:3]),
    ],
)
def test_links_live_as_long_as_the_model_says(
    sandbox: RunningSandbox, model: str, body: dict[str, object], seconds: float
) -> None:
    """Ten minutes, an hour or two hours after the end of the task."""
    entry = sandbox.entry(sandbox.finished(model, **body)["id"])

    ended, expires = (datetime.fromisoformat(entry[key]) for key in ("finished_at", "expires_at"))
    assert (expires - ended).total_seconds() == pytest.approx(seconds, abs=1)


def test_a_running_video_tells_its_progress(start_sandbox: StartSandbox) -> None:
    """It goes through the stages, with a number from 0 to 1."""
    slow = start_sandbox(GENERATION_SECONDS=600)
    task_id = slow.create("flux-3-video", **TEXT)

    polled = slow.poll(task_id).json()

    assert polled["status"] in {"Pending", "Reasoning"}
    assert 0 <= polled["progress"] < 1


def test_files_are_padded_to_a_size(start_sandbox: StartSandbox) -> None:
    """Images and videos have exactly the bytes that are set, as the ledger says."""
    padded = start_sandbox(FILE_BYTES="image=3000000,video=5000000")
    for model, body, size in (("flux-pro-1.1", {}, 3_000_000), ("flux-3-video", TEXT, 5_000_000)):
        ended = padded.finished(model, **body)
        data = padded.client.get(ended["result"]["sample"]).content
        entry = padded.entry(ended["id"])
        assert entry["bytes"] == len(data) == size
