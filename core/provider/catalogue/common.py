"""Parameters shared by many models."""

from typing import Final

from core.provider.catalogue.entry import Kind, Parameter

#: The authoritative document.
OPENAPI: Final = "BFL OpenAPI of 2026-09-19"

PROMPT: Final = Parameter(kind=Kind.TEXT)
PROMPT_REQUIRED: Final = Parameter(kind=Kind.TEXT, required=True)
SEED: Final = Parameter(kind=Kind.INTEGER)
SWITCH: Final = Parameter(kind=Kind.BOOLEAN)
FORMAT: Final = Parameter(kind=Kind.CHOICE, choices=("jpeg", "png", "webp"))
USER: Final = Parameter(kind=Kind.TEXT, minimum=1, longest=256)
RATIO: Final = Parameter(kind=Kind.ASPECT_RATIO)
#: An image given as base64 or URL.
PICTURE: Final = Parameter(kind=Kind.IMAGE)
PICTURE_REQUIRED: Final = Parameter(kind=Kind.IMAGE, required=True)
#: An image documented as base64 only.
BASE64: Final = Parameter(kind=Kind.IMAGE, urls=False)


def references(count: int, picture: Parameter = PICTURE) -> dict[str, Parameter]:
    """Return `input_image`, `input_image_2` and so on, `count` in all."""
    names = ["input_image", *(f"input_image_{number}" for number in range(2, count + 1))]
    return dict.fromkeys(names, picture)
