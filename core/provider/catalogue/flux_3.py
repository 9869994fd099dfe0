"""FLUX.3: images."""

from typing import Final

from core.provider.catalogue.common import FORMAT, PROMPT_REQUIRED, SEED, SWITCH
from core.provider.catalogue.entry import Kind, Model, Parameter

#: Seconds for which a link to an image lives.
_LINK_SECONDS: Final = 3600.0

_PROMPT: Final = Parameter(kind=Kind.TEXT, required=True, minimum=1)
_REFERENCES: Final = Parameter(
    kind=Kind.IMAGES,
    most=10,
    shortest_side=256,
    most_pixels=4096 * 4096,
    disagreement="The reference says 16 MP, which may mean 16,000,000 or 16,777,216 pixels.",
)
_RATIOS: Final = (
    *("auto", "21:9", "2:1", "16:9", "3:2", "7:5", "4:3", "5:4", "1:1"),
    *("4:5", "3:4", "5:7", "2:3", "9:16", "1:2", "9:21"),
)
_SIDE: Final = Parameter(kind=Kind.INTEGER, minimum=1)

FLUX_3_IMAGES: Final = (
    Model(
        name="flux-3-image",
        source="BFL API reference of 2026-10-08, flux-3-image; SDKs generated from the provider's "
        "OpenAPI document in 2026-09 agree",
        parameters={
            "prompt": _PROMPT,
            "images": _REFERENCES,
            "aspect_ratio": Parameter(kind=Kind.CHOICE, choices=_RATIOS),
            "resolution": Parameter(kind=Kind.CHOICE, choices=("768sq", "1k", "1.5k", "2k", "4k")),
            "safety_tolerance": Parameter(kind=Kind.INTEGER, minimum=0, maximum=4),
            "grounding": SWITCH,
            "version": Parameter(kind=Kind.TEXT, minimum=1),
        },
        webhook=False,
        link_seconds=_LINK_SECONDS,
    ),
    Model(
        name="flux-3-image-klein",
        source="release notes of 2026-10-15; the exact schema was not found, so types are checked "
        "rather than ranges",
        parameters={
            "prompt": PROMPT_REQUIRED,
            "images": Parameter(
                kind=Kind.IMAGES,
                most=10,
                disagreement="The release notes do not name it; taken as by flux-3-image.",
            ),
            "width": _SIDE,
            "height": _SIDE,
            "seed": SEED,
            "steps": Parameter(kind=Kind.INTEGER, minimum=1),
            "safety_tolerance": Parameter(kind=Kind.INTEGER, minimum=0, maximum=7),
            "output_format": FORMAT,
        },
        webhook=False,
        link_seconds=_LINK_SECONDS,
    ),
)
