"""Pictures are drawn in every size and for every text, and encoded without loss of size."""

import io

import pytest
from PIL import Image, ImageChops, ImageStat

from sandbox.generation.drawing import Scene, draw
from sandbox.generation.encoding import encode

PROMPT = "A lighthouse above a calm sea"


@pytest.mark.parametrize("prompt", ["", "\n\t\0", "word " * 500, "x" * 3000, "\u6d77\U0001f30a"])
def test_any_prompt_can_be_drawn(prompt: str) -> None:
    """No text breaks the caption."""
    assert draw(Scene("flux-pro-1.1", prompt, -1, 256, 256)).size == (256, 256)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (64, 3000), (3000, 1)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    """An input image may be of any size, and some pictures are as large as their input."""
    for form in ("png", "jpeg", "webp"):
        data = encode(draw(Scene("flux-tools/deblur-v1", PROMPT, 1, *size)), form)
        with Image.open(io.BytesIO(data)) as read:
            assert read.size == size


@pytest.mark.parametrize("side", [None, 1, 64, 4096])
def test_detail_never_changes_the_size(side: int | None) -> None:
    """The drawn detail may be capped, the picture stays as large as asked."""
    assert draw(Scene("flux-pro-1.1", PROMPT, 3, 640, 288), side).size == (640, 288)


def test_a_png_holds_the_drawn_pixels() -> None:
    """The fast PNG encoder loses nothing."""
    picture = draw(Scene("flux-kontext-pro", PROMPT, 4, 320, 256))
    with Image.open(io.BytesIO(encode(picture, "png"))) as read:
        assert read.format == "PNG"
        assert read.tobytes() == picture.tobytes()


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
def test_a_lossy_format_stays_close_to_the_drawn_pixels(output_format: str) -> None:
    """The mean difference of a channel is below four of 256 steps."""
    picture = draw(Scene("flux-kontext-pro", PROMPT, 4, 320, 256))
    with Image.open(io.BytesIO(encode(picture, output_format))) as read:
        assert read.format == output_format.upper()
        difference = ImageStat.Stat(ImageChops.difference(picture, read.convert("RGB")))
    assert max(difference.mean) < 4
