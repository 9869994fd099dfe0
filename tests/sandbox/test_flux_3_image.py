"""Images of FLUX 3: sizes, lists of images, and fields that are refused."""

from __future__ import annotations

import base64
import hashlib
import io
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from sandbox.requests.models import MODELS
from sandbox.requests.validation import validate

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox

MODEL = "flux-3-image"
SMALL = {"prompt": "a harbour", "resolution": "768sq"}


def picture(width: int = 256, height: int = 256) -> str:
    """Return a PNG as base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


PICTURE = picture()


@pytest.mark.parametrize(
    ("asked", "inputs", "size"),
    [
        ({}, {}, (1024, 1024)),
        ({"aspect_ratio": "16:9"}, {}, (1360, 768)),
        ({"aspect_ratio": "9:16"}, {}, (768, 1360)),
        ({"resolution": "768sq"}, {}, (768, 768)),
        ({"resolution": "1.5k"}, {}, (1536, 1536)),
        ({"resolution": "2k", "aspect_ratio": "21:9"}, {}, (3136, 1344)),
        ({"resolution": "4k", "aspect_ratio": "1:2"}, {}, (2896, 5792)),
        ({}, {"images.0": (320, 200), "images.1": (100, 900)}, (1296, 816)),
    ],
)
def test_a_size_follows_from_resolution_and_ratio(
    asked: dict[str, object], inputs: dict[str, tuple[int, int]], size: tuple[int, int]
) -> None:
    """The area is the resolution's, the sides are multiples of 16; "auto" is as the first image."""
    request = validate(MODELS[MODEL], {"prompt": "x", **asked})
    made = MODELS[MODEL].size(request.values, inputs)

    assert made == size
    assert MODELS[MODEL].flaw(request.values, inputs, made) is None


def test_a_result_tells_an_expanded_prompt_and_lives_for_an_hour(sandbox: RunningSandbox) -> None:
    """There are no seed and no times in it, and the link's end is an hour after the task's."""
    ended = sandbox.finished(MODEL, **SMALL)
    entry = sandbox.entry(ended["id"])

    assert set(ended["result"]) == {"sample", "prompt", "duration"}
    assert ended["result"]["prompt"].startswith("a harbour\n\n|")
    lifetime = moment(entry["expires_at"]) - moment(entry["finished_at"])
    assert lifetime.total_seconds() == pytest.approx(3600, abs=1)


@pytest.mark.parametrize(
    "field", ["seed", "width", "height", "output_format", "prompt_upsampling", "webhook_url"]
)
def test_an_unknown_field_is_refused(sandbox: RunningSandbox, field: str) -> None:
    """Fields of other models are errors here, each named."""
    answer = sandbox.submit(MODEL, **SMALL, **{field: 5})

    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert (error["loc"], error["type"]) == (["body", field], "extra_forbidden")


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("prompt", "", "string_too_short"),
        ("images", [], "too_short"),
        ("images", [PICTURE] * 11, "too_long"),
        ("images", [PICTURE, 5], "string_type"),
        ("images", [[PICTURE]], "string_type"),
        ("aspect_ratio", "22:9", "enum"),
        ("aspect_ratio", None, "enum"),
        ("resolution", "3k", "enum"),
        ("safety_tolerance", 5, "less_than_equal"),
        ("grounding", "maybe", "bool_parsing"),
    ],
)
def test_a_bad_value_is_named(
    sandbox: RunningSandbox, field: str, value: object, kind: str
) -> None:
    """One bad value gives one error with its place and kind."""
    answer = sandbox.submit(MODEL, **{**SMALL, field: value})

    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert (error["loc"], error["type"]) == (["body", field], kind)


@pytest.mark.parametrize(
    ("images", "status"),
    [
        (PICTURE, "Ready"),
        ([PICTURE] * 10, "Ready"),
        (["https://example.com/never-fetched.png", PICTURE], "Ready"),
        (picture(255, 400), "Error"),
        ([PICTURE, picture(400, 255)], "Error"),
        ([PICTURE, "aGVsbG8="], "Error"),
        ([PICTURE, PICTURE[:80]], "Error"),
        (picture(4097, 4096), "Error"),
    ],
)
def test_input_images_are_checked_one_by_one(
    sandbox: RunningSandbox, images: Any, status: str
) -> None:
    """Each has sides of at least 256 and at most 16 megapixels, and is whole."""
    ended = sandbox.finished(MODEL, **SMALL, images=images)

    assert ended["status"] == status
    if status == "Error":
        assert ended["details"] == {"error": "Invalid or corrupted image input"}


def test_the_ledger_shows_a_list_of_images_without_base64(sandbox: RunningSandbox) -> None:
    """Each stands at its place by length and digest, a URL as it was sent."""
    url = "https://example.com/x.png"
    data = base64.b64decode(PICTURE)
    short = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    task_id = sandbox.create(MODEL, **SMALL, images=[PICTURE, url, PICTURE])

    assert sandbox.entry(task_id)["request"]["images"] == [short, url, short]


def test_klein_takes_nearly_any_value_and_ignores_others(sandbox: RunningSandbox) -> None:
    """Its ranges are not published: only types are checked, and unknown fields are ignored."""
    model = "flux-3-image-klein"
    body = {"prompt": "x", "steps": 4000, "seed": 3, "a_field_nobody_knows": 1}

    assert sandbox.finished(model, **body)["result"]["seed"] == 3
    assert sandbox.submit(model, prompt="x", steps="many").status_code == 422
    assert "polling_url" in sandbox.submit(model, prompt="x", webhook_url="http://h/").json()


def moment(text: str) -> datetime:
    """Return the instant of an ISO 8601 text."""
    return datetime.fromisoformat(text)
