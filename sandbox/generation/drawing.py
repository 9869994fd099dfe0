"""Draws a task's image: a landscape that depends on model, prompt and seed alone."""

import colorsys
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

#: Number of hills; each costs one polygon.
RIDGES = 4
#: Pixels between two points of a hill's outline.
RIDGE_STEP = 6
STARS = 36
#: Maximum lines of the caption; a longer prompt ends in an ellipsis.
CAPTION_LINES = 2
#: Lightness below which a sky counts as night and gets stars.
NIGHT_LIGHTNESS = 0.45

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Scene:
    """What determines an image. The size is in pixels."""

    model: str
    prompt: str
    seed: int
    width: int
    height: int


def draw(scene: Scene, detail_side: int | None = None) -> Image.Image:
    """Return the scene's image, always in the scene's size.

    Args:
        scene: What to draw.
        detail_side: Longest side in pixels at which it is drawn before it is enlarged; None: full
            size.
    """
    scale = min(1.0, (detail_side or math.inf) / max(scene.width, scene.height))
    size = max(1, round(scene.width * scale)), max(1, round(scene.height * scale))
    chance = _chances(scene)
    hue, night = next(chance), next(chance) < NIGHT_LIGHTNESS
    picture = _sky(size, hue, night=night)
    pen = ImageDraw.Draw(picture, "RGBA")
    if night:
        _stars(pen, size, chance)
    _sun(pen, size, hue, chance)
    for ridge in range(RIDGES):
        _ridge(picture, ridge, hue, chance)
    _caption(pen, size, scene)
    if size != (scene.width, scene.height):
        return picture.resize((scene.width, scene.height), Image.Resampling.NEAREST)
    return picture


def _chances(scene: Scene) -> Iterator[float]:
    """Yield pseudo-random numbers from 0 to 1, seeded by model, prompt and seed."""
    root = f"{scene.model}\n{scene.seed}\n{scene.prompt}".encode()
    block = 0
    while True:
        digest = hashlib.sha256(root + block.to_bytes(4, "big")).digest()
        yield from (high * 256 / 65535 + low / 65535 for high, low in _couples(digest))
        block += 1


def _couples(digest: bytes) -> Iterator[tuple[int, int]]:
    return zip(digest[::2], digest[1::2], strict=True)


def _colour(hue: float, lightness: float, saturation: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _sky(size: tuple[int, int], hue: float, *, night: bool) -> Image.Image:
    """Return a vertical gradient; enlarging a column of three colours is cheap."""
    tops = (0.10, 0.26, 0.55) if night else (0.42, 0.66, 0.86)
    column = Image.new("RGB", (1, len(tops)))
    for row, lightness in enumerate(tops):
        column.putpixel((0, row), _colour(hue + 0.07 * row, lightness, 0.62))
    tall = column.resize((1, size[1]), Image.Resampling.BICUBIC)
    return tall.resize(size, Image.Resampling.NEAREST)


def _stars(pen: ImageDraw.ImageDraw, size: tuple[int, int], chance: Iterator[float]) -> None:
    for _ in range(STARS):
        x, y = next(chance) * size[0], next(chance) * size[1] * 0.5
        radius = (0.6 + next(chance)) * max(size) / 1024
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 255, 255, 190))


def _sun(
    pen: ImageDraw.ImageDraw, size: tuple[int, int], hue: float, chance: Iterator[float]
) -> None:
    x, y = (0.2 + 0.6 * next(chance)) * size[0], (0.18 + 0.26 * next(chance)) * size[1]
    radius = (0.06 + 0.05 * next(chance)) * min(size)
    glow = _colour(hue + 0.1, 0.93, 0.9)
    for ring, opacity in ((2.6, 22), (1.9, 30), (1.4, 44), (1.0, 255)):
        reach = radius * ring
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=(*glow, opacity))


def _ridge(picture: Image.Image, ridge: int, hue: float, chance: Iterator[float]) -> None:
    width, height = picture.size
    depth = (ridge + 1) / RIDGES
    base, swing = height * (0.46 + 0.1 * ridge), height * (0.05 + 0.02 * next(chance))
    waves = [(2 + index * 2.3 + 2 * next(chance), math.tau * next(chance)) for index in range(3)]
    outline = [(0.0, float(height))]
    for x in range(0, width + RIDGE_STEP, RIDGE_STEP):
        turns = (
            math.sin(x / width * pace + shift) / (index + 1)
            for index, (pace, shift) in enumerate(waves)
        )
        outline.append((float(x), base - swing * sum(turns)))
    outline.append((float(width + RIDGE_STEP), float(height)))
    colour = _colour(hue + 0.12 - 0.05 * depth, 0.46 - 0.36 * depth, 0.42)
    ImageDraw.Draw(picture).polygon(outline, fill=colour)
    # Polygons are not anti-aliased; a thin translucent line hides the steps.
    ImageDraw.Draw(picture, "RGBA").line(outline[1:-1], fill=(*colour, 110), width=2)


def _caption(pen: ImageDraw.ImageDraw, size: tuple[int, int], scene: Scene) -> None:
    width, height = size
    text_size = max(8, round(min(size) / 30))
    font, small = _font(text_size), _font(max(7, round(text_size * 0.68)))
    margin = text_size
    lines = _wrapped(pen, scene.prompt, font, width - 2 * margin)
    line_height = round(text_size * 1.35)
    top = height - margin - round(text_size * 0.9) - line_height * len(lines)
    pen.rectangle((0, top - margin * 0.7, width, height), fill=(8, 10, 18, 128))
    for row, line in enumerate(lines):
        pen.text((margin, top + row * line_height), line, fill=(255, 255, 255, 240), font=font)
    label = f"{scene.model}  \N{MIDDLE DOT}  seed {str(scene.seed)[:24]}"
    place = margin, top + len(lines) * line_height
    pen.text(place, label, fill=(255, 255, 255, 165), font=small)


def _wrapped(pen: ImageDraw.ImageDraw, prompt: str, font: Font, room: int) -> list[str]:
    """Return the prompt in at most `CAPTION_LINES` lines of `room` pixels."""
    clean = "".join(letter if letter.isprintable() else " " for letter in prompt[:400])
    lines: list[str] = []
    rest = " ".join(clean.split())
    while rest and len(lines) < CAPTION_LINES:
        fits = len(rest)
        while fits > 1 and pen.textlength(rest[:fits], font=font) > room:
            shorter = rest.rfind(" ", 0, fits)
            fits = shorter if shorter > 0 else fits - 1
        lines.append(rest[:fits])
        rest = rest[fits:].lstrip()
    if rest:
        lines[-1] = lines[-1][:-1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    return lines


@lru_cache(maxsize=32)
def _font(size: int) -> Font:
    return ImageFont.load_default(size)
