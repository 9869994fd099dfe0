"""Every model of images: what it takes at least, what its picture is like, what it refuses."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from sandbox.requests.models import MODELS

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox, StartSandbox


def image(width: int = 320, height: int = 256) -> str:
    """Return a PNG as base64."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


PROMPT = {"prompt": "a harbour"}
IMAGE = {"image": image()}
MASKED = {**IMAGE, "mask": image()}
FLUX_2 = {
    **PROMPT, "input_image": image(320, 200), "seed": 1, "safety_tolerance": 5,
    "width": 400, "height": 304, "output_format": "webp", "user": "someone",
}  # fmt: skip
EDIT = {
    **MASKED, **PROMPT, "steps": 15, "guidance": 1.5, "prompt_upsampling": True, "seed": 3,
    "safety_tolerance": 6, "output_format": "png",
}  # fmt: skip
TRY_ON = {**PROMPT, "person": image(200, 320), "garment": image()}
ULTRA = {**PROMPT, "aspect_ratio": "1:1", "image_prompt": image(), "image_prompt_strength": 1}
SIDED = {**PROMPT, "width": 256, "height": 1440, "image_prompt": image(), "output_format": "png"}
CANVAS = {"input_image": image(), "width": 640, "height": 512}

Case = tuple[dict[str, object], str, tuple[int, int]]
#: The smallest and a full body of each model, with the picture's format and size.
CASES: dict[str, tuple[Case, Case]] = {
    "flux-kontext-pro": (
        ({**PROMPT}, "PNG", (1024, 1024)),
        ({**PROMPT, "input_image_4": image(), "aspect_ratio": "21:9"}, "PNG", (1568, 672)),
    ),
    "flux-kontext-max": (
        ({**PROMPT}, "PNG", (1024, 1024)),
        ({**PROMPT, "aspect_ratio": "9:21", "output_format": "webp"}, "WEBP", (672, 1568)),
    ),
    "flux-pro-1.1": (({}, "JPEG", (1024, 768)), ({**SIDED}, "PNG", (256, 1440))),
    "flux-pro-1.1-ultra": (
        ({}, "JPEG", (2720, 1536)),
        ({**ULTRA, "raw": True}, "JPEG", (2048, 2048)),
    ),
    "flux-pro": (
        ({}, "JPEG", (1024, 768)),
        ({**SIDED, "steps": 1, "guidance": 5, "interval": 4}, "PNG", (256, 1440)),
    ),
    "flux-dev": (
        ({}, "JPEG", (1024, 768)),
        ({**SIDED, "steps": 50, "guidance": 1.5}, "PNG", (256, 1440)),
    ),
    "flux-2-pro": (
        ({**PROMPT}, "JPEG", (1024, 1024)),
        ({**FLUX_2, "input_image_8": image(), "disable_pup": True}, "WEBP", (400, 304)),
    ),
    "flux-2-pro-preview": (
        ({**PROMPT, "input_image": image(300, 100)}, "JPEG", (300, 100)),
        ({**FLUX_2}, "WEBP", (400, 304)),
    ),
    "flux-2-max": (
        ({**PROMPT, "width": 64}, "JPEG", (64, 1024)),
        ({**FLUX_2, "width": 2048, "height": 2048}, "WEBP", (2048, 2048)),
    ),
    "flux-2-flex": (
        ({**PROMPT, "input_image": image(3000, 2000)}, "JPEG", (2508, 1672)),
        ({**FLUX_2, "steps": 1, "guidance": 10, "input_image_8": image()}, "WEBP", (400, 304)),
    ),
    "flux-2-klein-4b": (
        ({**PROMPT, "input_image": "https://example.com/unread.png"}, "JPEG", (1024, 1024)),
        ({**FLUX_2}, "WEBP", (400, 304)),
    ),
    "flux-2-klein-9b": (
        ({**PROMPT, "width": None, "height": None}, "JPEG", (1024, 1024)),
        ({**FLUX_2, "input_image_4": image()}, "WEBP", (400, 304)),
    ),
    "flux-2-klein-9b-preview": (
        ({**PROMPT, "input_image": image(), "height": 128}, "JPEG", (320, 128)),
        ({**FLUX_2}, "WEBP", (400, 304)),
    ),
    "flux-pro-1.0-fill": (({**IMAGE}, "JPEG", (320, 256)), ({**EDIT}, "PNG", (320, 256))),
    "flux-pro-1.0-expand": (
        ({**IMAGE}, "JPEG", (320, 256)),
        ({**EDIT, "top": 1, "bottom": 2, "left": 2048, "right": 4}, "PNG", (2372, 259)),
    ),
    "flux-pro-1.0-fill-finetuned": (
        ({**IMAGE, "finetune_id": "my-finetune"}, "JPEG", (320, 256)),
        ({**EDIT, "finetune_id": "my-finetune", "finetune_strength": 2}, "PNG", (320, 256)),
    ),
    "flux-pro-1.1-ultra-finetuned": (
        ({"finetune_id": "my-finetune"}, "JPEG", (2720, 1536)),
        ({**ULTRA, "finetune_id": "my-finetune"}, "JPEG", (2048, 2048)),
    ),
    "flux-tools/erase-v1": (
        ({**MASKED}, "PNG", (320, 256)),
        ({**MASKED, "dilate_pixels": 25, "seed": 2, "output_format": "jpeg"}, "JPEG", (320, 256)),
    ),
    "flux-tools/deblur-v1": (
        ({**IMAGE}, "PNG", (320, 256)),
        ({**IMAGE, "seed": 2, "safety_tolerance": 0}, "PNG", (320, 256)),
    ),
    "flux-tools/vto-v1": (
        ({**TRY_ON}, "JPEG", (200, 320)),
        ({**TRY_ON, "output_format": "png"}, "PNG", (200, 320)),
    ),
    "flux-tools/vto-v2": (
        ({**TRY_ON}, "JPEG", (200, 320)),
        ({**TRY_ON, "seed": 5}, "JPEG", (200, 320)),
    ),
    "flux-tools/outpainting-v1": (
        ({**CANVAS}, "PNG", (640, 512)),
        (
            {
                **CANVAS, "auto_crop": True, "reference_offset_x": -20, "reference_offset_y": 400,
                "mode": "fast", "prompt": "sea", "disable_pup": True, "output_format": "webp",
            },
            "WEBP",
            (640, 512),
        ),
    ),
    "flux-3-image": (
        ({**PROMPT, "resolution": "768sq"}, "PNG", (768, 768)),
        (
            {
                **PROMPT, "images": [image(), "https://example.com/x.png"], "aspect_ratio": "2:1",
                "resolution": "1k", "safety_tolerance": 4, "grounding": False, "version": "latest",
            },
            "PNG",
            (1456, 720),
        ),
    ),
    "flux-3-image-klein": (
        ({**PROMPT}, "PNG", (1024, 1024)),
        (
            {
                **PROMPT, "images": image(), "width": 320, "height": 200, "seed": 4, "steps": 4,
                "output_format": "webp", "safety_tolerance": 7,
            },
            "WEBP",
            (320, 200),
        ),
    ),
}  # fmt: skip
#: The models that have the same fields for every request.
PLAIN = [slug for slug, model in MODELS.items() if not model.variants]


def test_every_model_has_its_cases() -> None:
    """A new model of images is not there until the table below has it."""
    assert set(CASES) == {slug for slug, model in MODELS.items() if model.clip is None}


@pytest.mark.parametrize("slug", CASES)
@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
def test_a_model_makes_the_asked_picture(sandbox: RunningSandbox, slug: str, full: bool) -> None:
    """Format and size are right in the file and in the ledger, and the price is told."""
    body, form, size = CASES[slug][full]
    ended = sandbox.finished(slug, **body)
    assert ended["status"] == "Ready", ended
    with Image.open(io.BytesIO(sandbox.client.get(ended["result"]["sample"]).content)) as picture:
        picture.load()
        assert (picture.format, picture.size) == (form, size)
    entry = sandbox.entry(ended["id"])
    assert (entry["width"], entry["height"]) == size
    assert ended["cost"] == MODELS[slug].price


@pytest.mark.parametrize("slug", PLAIN)
def test_what_must_be_sent_is_asked_for(sandbox: RunningSandbox, slug: str) -> None:
    """An empty body gets one error for each field that must be there, or is taken."""
    answer = sandbox.submit(slug)
    required = {name for name, field in MODELS[slug].fields.items() if field.required}
    if not required:
        assert answer.status_code == 200
        return
    assert answer.status_code == 422
    missing = {each["loc"][1] for each in answer.json()["detail"] if each["type"] == "missing"}
    assert missing == required


@pytest.mark.parametrize(
    ("slug", "input_mp", "output_mp"),
    [("flux-2-max", 0.06, 0.12), ("flux-tools/erase-v1", 0.16, 0.08), ("flux-pro-1.1", None, None)],
)
def test_cost_on_submit(
    sandbox: RunningSandbox, slug: str, input_mp: float | None, output_mp: float | None
) -> None:
    """Newer models name cost and megapixels when they take a task, older ones do not."""
    body = {**FLUX_2, **MASKED} if output_mp else {**PROMPT}
    told = sandbox.submit(slug, **body).json()
    cost = None if output_mp is None else MODELS[slug].price
    assert (told["cost"], told["input_mp"], told["output_mp"]) == (cost, input_mp, output_mp)


def test_outpainting_takes_no_unknown_field(sandbox: RunningSandbox) -> None:
    """Its webhook fields are unknown ones, so its result can only be polled."""
    extra = {"webhook_url": "http://127.0.0.1:1/x", "seed": 5}
    answer = sandbox.submit("flux-tools/outpainting-v1", **CANVAS, **extra)
    assert answer.status_code == 422
    errors = {each["loc"][1]: each["type"] for each in answer.json()["detail"]}
    assert errors == dict.fromkeys(extra, "extra_forbidden")
    assert "polling_url" in sandbox.submit("flux-tools/outpainting-v1", **CANVAS).json()


@pytest.mark.parametrize(
    ("slug", "body", "error"),
    [
        ("flux-pro-1.0-fill", {**IMAGE, "mask": image(320, 255)}, "Mask dimensions do not match"),
        ("flux-tools/erase-v1", {**IMAGE, "mask": image(1, 1)}, "Mask dimensions do not match"),
        ("flux-tools/outpainting-v1", {**CANVAS, "width": 319}, "Input image extends beyond"),
        ("flux-tools/outpainting-v1", {**CANVAS, "reference_offset_x": 321}, "Input image extends"),
        ("flux-tools/outpainting-v1", {**CANVAS, "width": 4000, "height": 2000}, "Requested size"),
        ("flux-2-pro", {**PROMPT, "width": 2049, "height": 2048}, "Requested size exceeds 4"),
        ("flux-2-pro", {**PROMPT, "width": 10**400}, "Requested size exceeds 4"),
        (
            "flux-pro-1.0-expand",
            {"image": image(3000, 3000), **dict.fromkeys(("top", "left", "right"), 2048)},
            "Requested size exceeds 24",
        ),
        ("flux-pro-1.0-fill", {"image": "https://example.com/x.png"}, "Invalid or corrupted"),
        ("flux-tools/deblur-v1", {"image": ""}, "Invalid or corrupted"),
        ("flux-tools/vto-v2", {**TRY_ON, "garment": "aGVsbG8="}, "Invalid or corrupted"),
    ],
)
def test_a_request_without_a_possible_picture_ends_in_error(
    sandbox: RunningSandbox, slug: str, body: dict[str, object], error: str
) -> None:
    """The task is taken and its end says why."""
    ended = sandbox.finished(slug, **body)
    assert ended["status"] == "Error"
    assert ended["details"]["error"].startswith(error)


def stages(sandbox: RunningSandbox, slug: str) -> list[str]:
    """Run a task; return the statuses that polling showed, each once."""
    task_id = sandbox.create(slug, **PROMPT)
    seen: list[str] = []
    while "Ready" not in seen:
        polled = sandbox.poll(task_id).json()
        if polled["status"] not in seen:
            seen.append(polled["status"])
        assert (polled["progress"] is None) == (polled["status"] == "Ready")
    return seen


def test_newer_models_show_their_stages(start_sandbox: StartSandbox) -> None:
    """A FLUX.2 task is Pending, Reasoning, Generating and Ready; an older model's only the ends."""
    slow = start_sandbox(GENERATION_SECONDS=3)
    assert stages(slow, "flux-2-pro") == ["Pending", "Reasoning", "Generating", "Ready"]
    assert stages(slow, "flux-pro-1.1") == ["Pending", "Ready"]


def test_stages_can_be_given_to_all_models_or_to_none(start_sandbox: StartSandbox) -> None:
    """The setting goes before the model."""
    assert "Generating" in stages(start_sandbox(GENERATION_SECONDS=2, STAGES="all"), "flux-dev")
    plain = start_sandbox(GENERATION_SECONDS=2, STAGES="none")
    assert stages(plain, "flux-2-pro") == ["Pending", "Ready"]
