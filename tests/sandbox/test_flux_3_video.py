"""Videos: every mode and endpoint, what they refuse, and what their files are."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from sandbox.requests.models import MODELS
from tests.sandbox.movies import movie, movie_base64, read_movie

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox

VIDEO = "flux-3-video"
EDIT = "flux-tools/video-edit-v1"
UPSCALE = "flux-tools/video-upscale-v1"
URL = "https://example.com/never-fetched"
PROMPT = {"prompt": "waves roll in"}
TEXT: dict[str, object] = {"mode": "t2v", **PROMPT}
COMMON = {
    **PROMPT, "aspect_ratio": "9:16", "resolution": "fhd", "generate_audio": False,
    "safety_tolerance": 4, "draft": False, "version": "latest", "user": "someone",
}  # fmt: skip


def picture(width: int = 256, height: int = 256) -> str:
    """Return a PNG as base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


PICTURE = picture()
FRAMES = {"mode": "i2v", **PROMPT}
#: Model, body, and the video's size at a tenth, its seconds, and whether it has sound.
CASES: list[tuple[str, dict[str, object], tuple[int, int], float, bool]] = [
    (VIDEO, TEXT, (128, 64), 5, True),
    (VIDEO, {**COMMON, "mode": "text-to-video", "duration": 20}, (96, 192), 20, False),
    (VIDEO, {**FRAMES, "keyframes": PICTURE}, (64, 64), 5, True),
    (VIDEO, {**COMMON, "mode": "image-continuation", "keyframes": [URL]}, (96, 192), 5, False),
    (VIDEO, {**FRAMES, "keyframes": [PICTURE] * 10, "duration": 6}, (64, 64), 6, True),
    (VIDEO, {**FRAMES, "keyframes": [[0, URL], [2.5, URL], [7.1, URL]]}, (128, 64), 8, True),
    (VIDEO, {**FRAMES, "keyframes": [[0, picture(512, 256)]]}, (128, 64), 5, True),
    (VIDEO, {"mode": "v2v", **PROMPT, "start_video": movie_base64()}, (96, 64), 5, True),
    (
        VIDEO,
        {**COMMON, "mode": "video-continuation", "start_video": URL, "duration": 15},
        (96, 192),
        15,
        False,
    ),
    (VIDEO, {**TEXT, "resolution": "uhd"}, (384, 224), 5, True),
    (VIDEO, {**TEXT, "resolution": "qhd", "aspect_ratio": "1:1"}, (128, 128), 5, True),
    (EDIT, {"video": movie_base64(3), **PROMPT}, (32, 32), 3, True),
    (EDIT, {"video": URL, **PROMPT, "safety_tolerance": 0}, (128, 64), 5, True),
    (UPSCALE, {"input_video": movie_base64(20, audio=False)}, (32, 32), 20, False),
    (
        UPSCALE,
        {"input_video": URL, **PROMPT, "creativity": 0, "upscale_factor": 3},
        (384, 224),
        5,
        True,
    ),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_video_is_what_was_asked_for(sandbox: RunningSandbox, number: int) -> None:
    """Size, rate, length and sound are right in the file and in the ledger."""
    model, body, size, seconds, audio = CASES[number]

    ended = sandbox.finished(model, **body)

    assert ended["status"] == "Ready", ended
    got = sandbox.client.get(ended["result"]["sample"])
    made = read_movie(got.content)
    frames = made.tracks["vide"]
    assert (frames.size, made.seconds, len(frames.frames)) == (size, seconds, seconds * 24)
    assert ("soun" in made.tracks) == audio
    entry = sandbox.entry(ended["id"])
    assert (entry["width"], entry["height"], entry["format"]) == (*size, "mp4")
    assert (entry["seconds"], entry["audio"]) == (seconds, audio)
    assert entry["sha256"] == hashlib.sha256(got.content).hexdigest()
    assert (got.headers["content-type"], ended["cost"]) == ("video/mp4", MODELS[model].price)


@pytest.mark.parametrize(
    ("body", "place", "kind"),
    [
        (PROMPT, ["body"], "union_tag_not_found"),
        ({**PROMPT, "mode": "t3v"}, ["body"], "union_tag_invalid"),
        ({**PROMPT, "mode": 5}, ["body"], "union_tag_invalid"),
        ({"mode": "t2v"}, ["body", "t2v", "prompt"], "missing"),
        ({**TEXT, "keyframes": [URL]}, ["body", "t2v", "keyframes"], "extra_forbidden"),
        ({**TEXT, "webhook_url": URL}, ["body", "t2v", "webhook_url"], "extra_forbidden"),
        ({**TEXT, "seed": 5}, ["body", "t2v", "seed"], "extra_forbidden"),
        ({**TEXT, "duration": 4}, ["body", "t2v", "duration"], "greater_than_equal"),
        ({**TEXT, "duration": 21}, ["body", "t2v", "duration"], "less_than_equal"),
        ({**TEXT, "duration": 5.5}, ["body", "t2v", "duration"], "int_from_float"),
        ({**TEXT, "duration": "long"}, ["body", "t2v", "duration"], "int_parsing"),
        ({**TEXT, "aspect_ratio": "3:2"}, ["body", "t2v", "aspect_ratio"], "enum"),
        ({**TEXT, "resolution": "4k"}, ["body", "t2v", "resolution"], "enum"),
        ({**TEXT, "draft": True, "resolution": "fhd"}, ["body", "t2v"], "value_error"),
        (FRAMES, ["body", "i2v", "keyframes"], "missing"),
        ({**FRAMES, "keyframes": []}, ["body", "i2v", "keyframes"], "too_short"),
        ({**FRAMES, "keyframes": [URL] * 11}, ["body", "i2v", "keyframes"], "too_long"),
        ({**FRAMES, "keyframes": [URL] * 3}, ["body", "i2v"], "value_error"),
        (
            {**FRAMES, "keyframes": [[n, URL] for n in range(11)]},
            ["body", "i2v", "keyframes"],
            "too_long",
        ),
        (
            {**FRAMES, "keyframes": [[3, URL], [2, URL]]},
            ["body", "i2v", "keyframes"],
            "value_error",
        ),
        (
            {**FRAMES, "keyframes": [[3, URL], [3, URL]]},
            ["body", "i2v", "keyframes"],
            "value_error",
        ),
        ({**FRAMES, "keyframes": [URL, [3, URL]]}, ["body", "i2v", "keyframes"], "value_error"),
        ({**FRAMES, "keyframes": [[3, URL, 4]]}, ["body", "i2v", "keyframes"], "value_error"),
        ({**FRAMES, "keyframes": [["x", URL]]}, ["body", "i2v", "keyframes"], "float_parsing"),
        (
            {**FRAMES, "keyframes": [[-1, URL]]},
            ["body", "i2v", "keyframes"],
            "greater_than_equal",
        ),
        ({**FRAMES, "keyframes": [[6, URL]], "duration": 5}, ["body", "i2v"], "value_error"),
        (
            {"mode": "v2v", **PROMPT, "start_video": URL, "duration": 16},
            ["body", "v2v", "duration"],
            "less_than_equal",
        ),
        (
            {"mode": "draft_enhance", "draft_cache": URL, **PROMPT},
            ["body", "draft_enhance", "prompt"],
            "extra_forbidden",
        ),
    ],
)
def test_a_bad_body_is_refused_with_its_place(
    sandbox: RunningSandbox, body: dict[str, object], place: list[str], kind: str
) -> None:
    """One mistake gives one error; its place holds the mode, as the provider's has it."""
    answer = sandbox.submit(VIDEO, **body)

    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert (error["loc"], error["type"]) == (place, kind)


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (EDIT, {"video": URL, **PROMPT, "seed": 5}),
        (EDIT, {"video": URL, **PROMPT, "webhook_url": URL}),
        (UPSCALE, {"input_video": URL, "upscale_factor": 3.1}),
        (UPSCALE, {"input_video": URL, "creativity": 2}),
        (UPSCALE, {"input_video": URL, "resolution": "hd"}),
    ],
)
def test_the_tools_refuse_what_they_do_not_know(
    sandbox: RunningSandbox, model: str, body: dict[str, object]
) -> None:
    """Unknown fields and values out of range are 422."""
    assert sandbox.submit(model, **body).status_code == 422


@pytest.mark.parametrize(
    "video",
    [
        "%%% not base64",
        base64.b64encode(b"<html>no video</html>").decode(),
        PICTURE,
        base64.b64encode(movie()[:-1]).decode(),
        movie_base64(20.5),
    ],
)
def test_what_is_no_video_ends_the_task(sandbox: RunningSandbox, video: str) -> None:
    """Something else, a file that is cut off, and one that is too long."""
    for model, body in (
        (VIDEO, {"mode": "v2v", **PROMPT, "start_video": video}),
        (UPSCALE, {"input_video": video}),
    ):
        ended = sandbox.finished(model, **body)
        assert ended["status"] == "Error"
        assert ended["details"] == {"error": "Invalid or corrupted video input"}


def test_keyframes_are_checked_as_images(sandbox: RunningSandbox) -> None:
    """One that is too small ends the task, and the ledger shows each at its place."""
    ended = sandbox.finished(VIDEO, **FRAMES, keyframes=[[0, URL], [1, picture(255, 256)]])

    assert ended["details"] == {"error": "Invalid or corrupted image input"}
    shown = sandbox.entry(ended["id"])["request"]["keyframes"]
    assert shown[0] == [0, URL]
    assert (shown[1][0], set(shown[1][1])) == (1, {"bytes", "sha256"})


def test_only_upscaling_takes_a_webhook(sandbox: RunningSandbox, receiver: Any) -> None:
    """Its result comes as a webhook like that of any other model."""
    task_id = sandbox.create(UPSCALE, input_video=URL, webhook_url=receiver.url)
    sandbox.deliveries(task_id, 1)

    (hook,) = receiver.webhooks
    assert hook.body["result"]["sample"] == sandbox.entry(task_id)["sample_url"]
