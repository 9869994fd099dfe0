"""The request bodies of the models: their fields with ranges and defaults.

They follow the input schemas of the BFL OpenAPI; `flux-pro` follows the provider's older SDK. Those
of FLUX 3 are in `flux_3.py`.
"""

from collections.abc import Mapping
from typing import Final

from sandbox.requests.fields import (
    Choice,
    Field,
    Flag,
    Integer,
    Number,
    Ratio,
    Text,
    WebAddress,
)
from sandbox.requests.file_fields import Picture

Fields = Mapping[str, Field]

OUTPUT_FORMATS: Final = ("jpeg", "png", "webp")


def output_format(default: str) -> Choice:
    """Return the field for the format of an image."""
    return Choice(default=default, options=OUTPUT_FORMATS)


def safety(most: int) -> Integer:
    """Return the field for how much is tolerated."""
    return Integer(default=2, nullable=False, least=0, most=most)


def _whole(default: int | None, least: int, most: float = float("inf"), step: int = 1) -> Integer:
    return Integer(default=default, nullable=False, least=least, most=most, multiple_of=step)


def _number(default: float, least: float, most: float, *, nullable: bool = True) -> Number:
    return Number(default=default, nullable=nullable, least=least, most=most)


def _images(count: int) -> Fields:
    """Return the first fields of `input_image`, `input_image_2` and so on."""
    names = ("input_image", *(f"input_image_{number}" for number in range(2, count + 1)))
    return dict.fromkeys(names, Picture())


def _required(field: type[Text] | type[Picture]) -> Field:
    return field(required=True, nullable=False)


def _plain(*, default: bool = False, nullable: bool = False) -> Flag:
    return Flag(default=default, nullable=nullable)


_PROMPT: Final[Fields] = {"prompt": _required(Text)}
SEED: Final[Fields] = {"seed": Integer()}
WEBHOOK: Final[Fields] = {"webhook_url": WebAddress(), "webhook_secret": Text()}
USER: Final[Fields] = {"user": Text(shortest=1, longest=256)}
_UPSAMPLING: Final[Fields] = {"prompt_upsampling": _plain()}
#: Fields of every FLUX.1 model.
_FLUX_1: Final[Fields] = {**SEED, "safety_tolerance": safety(6), **WEBHOOK}
#: Fields of every FLUX.2 model and tool.
_FLUX_2: Final[Fields] = {**SEED, "safety_tolerance": safety(5), **WEBHOOK, **USER}
_JPEG: Final[Fields] = {"output_format": output_format("jpeg")}
_PNG: Final[Fields] = {"output_format": output_format("png")}

KONTEXT: Final[Fields] = {
    **_PROMPT, **_images(4), "aspect_ratio": Ratio(), **_PNG, **_UPSAMPLING, **_FLUX_1, **USER
}  # fmt: skip
_SIDES: Final[Fields] = {
    "image_prompt": Picture(urls=False),
    "width": _whole(1024, 256, 1440, 32),
    "height": _whole(768, 256, 1440, 32),
    **_JPEG, **_UPSAMPLING, **_FLUX_1, **USER,
}  # fmt: skip
PRO_1_1: Final[Fields] = {**_SIDES, "prompt": Text(default="")}
DEV: Final[Fields] = {
    **_SIDES,
    "prompt": Text(default="", nullable=False),
    "steps": Integer(default=28, least=1, most=50),
    "guidance": _number(3.0, 1.5, 5),
}
PRO: Final[Fields] = {
    **_SIDES,
    "prompt": Text(default=""),
    "steps": Integer(default=40, least=1, most=50),
    "guidance": _number(2.5, 1.5, 5),
    "interval": _number(2.0, 1, 4),
}
_ULTRA_BASE: Final[Fields] = {
    "prompt": Text(default=""),
    "aspect_ratio": Ratio(default="16:9", nullable=False),
    "image_prompt": Picture(urls=False),
    "image_prompt_strength": _number(0.1, 0, 1, nullable=False),
    **_JPEG, **_UPSAMPLING, **_FLUX_1,
}  # fmt: skip
ULTRA: Final[Fields] = {**_ULTRA_BASE, "raw": _plain(), **USER}
#: Fields of both inpainting and expanding.
_EDIT: Final[Fields] = {
    "image": Picture(urls=False, required=True, nullable=False),
    "prompt": Text(default=""),
    "steps": Integer(default=50, least=15, most=50),
    "guidance": _number(60, 1.5, 100),
    "prompt_upsampling": _plain(nullable=True),
    **_JPEG, **_FLUX_1, **USER,
}  # fmt: skip
FILL: Final[Fields] = {**_EDIT, "mask": Picture(urls=False)}
EXPAND: Final[Fields] = {
    **_EDIT,
    **{side: Integer(default=0, least=0, most=2048) for side in ("top", "bottom", "left", "right")},
}
FINETUNED_FILL: Final[Fields] = {
    **FILL,
    "finetune_id": _required(Text),
    "finetune_strength": _number(1.1, 0, 2, nullable=False),
    "prompt": Text(default="", nullable=False),
    "steps": _whole(50, 15, 50),
    "guidance": _number(60, 1.5, 100, nullable=False),
    **_UPSAMPLING,
}
FINETUNED_ULTRA: Final[Fields] = {
    **_ULTRA_BASE,
    "finetune_id": _required(Text),
    "finetune_strength": _number(1.2, 0, 2, nullable=False),
}
_FLUX_2_SIDES: Final[Fields] = {
    "width": Integer(default=0, least=64),
    "height": Integer(default=0, least=64),
}
FLUX_2_PRO: Final[Fields] = {
    **_PROMPT, "disable_pup": _plain(), **_images(8), **_FLUX_2_SIDES, **_JPEG, **_FLUX_2
}  # fmt: skip
FLUX_2_FLEX: Final[Fields] = {
    **_PROMPT,
    **_images(8),
    "input_image_blob_path": Text(),
    "prompt_upsampling": _plain(default=True, nullable=True),
    "guidance": _number(5.0, 1.5, 10),
    "steps": Integer(default=50, least=1, most=50),
    **_FLUX_2_SIDES, **_JPEG, **_FLUX_2,
}  # fmt: skip
KLEIN: Final[Fields] = {**_PROMPT, **_images(4), **_FLUX_2_SIDES, **_JPEG, **_FLUX_2}
ERASE: Final[Fields] = {
    "image": _required(Picture),
    "mask": _required(Picture),
    "dilate_pixels": _whole(10, 0, 25),
    **_PNG, **_FLUX_2,
}  # fmt: skip
DEBLUR: Final[Fields] = {"image": _required(Picture), **_PNG, **_FLUX_2}
TRY_ON: Final[Fields] = {
    **_PROMPT,
    "person": _required(Picture),
    "garment": _required(Picture),
    **_JPEG, **_FLUX_2,
}  # fmt: skip
OUTPAINTING: Final[Fields] = {
    "input_image": _required(Picture),
    **dict.fromkeys(("width", "height"), Integer(required=True, nullable=False, least=64)),
    "auto_crop": _plain(),
    "reference_offset_x": Integer(),
    "reference_offset_y": Integer(),
    "mode": Choice(default="high", nullable=False, options=("high", "fast")),
    "prompt": Text(),
    "disable_pup": _plain(),
    "safety_tolerance": safety(5),
    **_PNG, **USER,
}  # fmt: skip
