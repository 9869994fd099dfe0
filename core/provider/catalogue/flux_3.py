"""FLUX.3: images, videos, and the tools for videos."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from core.provider.catalogue.common import FORMAT, PROMPT, PROMPT_REQUIRED, SEED, SWITCH, USER
from core.provider.catalogue.entry import BUNDLE_ROLE, Kind, Media, Model, Parameter, Variant

_Parameters = Mapping[str, Parameter]

#: Seconds for which a link to a result lives.
_IMAGE_LINK_SECONDS: Final = 3600.0
_VIDEO_LINK_SECONDS: Final = 7200.0

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
_SAFETY: Final = Parameter(kind=Kind.INTEGER, minimum=0, maximum=4)
_VERSION: Final = Parameter(kind=Kind.TEXT, minimum=1)
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
            "safety_tolerance": _SAFETY,
            "grounding": SWITCH,
            "version": _VERSION,
        },
        webhook=False,
        link_seconds=_IMAGE_LINK_SECONDS,
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
        link_seconds=_IMAGE_LINK_SECONDS,
    ),
)

_VIDEO: Final = "flux-3-video"
_VIDEO_RATIOS: Final = ("auto", "21:9", "2:1", "16:9", "4:3", "1:1", "3:4", "9:16", "9:21")
_RESOLUTIONS: Final = ("hd", "fhd", "qhd", "uhd")
_CLIP: Final = Parameter(
    kind=Kind.VIDEO,
    required=True,
    most_seconds=20,
    disagreement="The limits of 20 seconds and 50 MB are stated for the upscaler, and used for "
    "every video.",
)
_KEYFRAMES: Final = replace(
    _REFERENCES, kind=Kind.KEYFRAMES, required=True, minimum=0, duration="duration"
)


def _generated(longest: int) -> _Parameters:
    """Return the parameters of a mode that makes at most so many seconds."""
    return {
        "prompt": _PROMPT,
        "duration": Parameter(kind=Kind.INTEGER, minimum=5, maximum=longest, word="auto"),
        "aspect_ratio": Parameter(kind=Kind.CHOICE, choices=_VIDEO_RATIOS),
        "resolution": Parameter(kind=Kind.CHOICE, choices=_RESOLUTIONS),
        "generate_audio": SWITCH,
        "safety_tolerance": _SAFETY,
        "draft": replace(SWITCH, only_with={"resolution": ("hd",)}, adds=BUNDLE_ROLE),
        "version": _VERSION,
        "user": USER,
    }


_MODES: Final = (
    Variant(names=("t2v", "text-to-video"), parameters=_generated(20)),
    Variant(
        names=("i2v", "image-continuation"),
        parameters={**_generated(20), "keyframes": _KEYFRAMES},
    ),
    Variant(
        names=("v2v", "video-continuation"),
        parameters={**_generated(15), "start_video": _CLIP},
    ),
    Variant(
        names=("draft_enhance", "draft-enhance"),
        parameters={
            "draft_cache": Parameter(kind=Kind.BUNDLE, required=True),
            "resolution": Parameter(kind=Kind.CHOICE, choices=_RESOLUTIONS),
            "safety_tolerance": _SAFETY,
        },
    ),
)


def _video(
    name: str,
    source: str,
    *,
    parameters: _Parameters | None = None,
    variants: tuple[Variant, ...] = (),
    webhook: bool = False,
) -> Model:
    return Model(
        name=name,
        source=source,
        parameters=parameters or {},
        variant_field="mode" if variants else "",
        variants=variants,
        webhook=webhook,
        lane="" if name == _VIDEO else _VIDEO,
        media=Media.VIDEO,
        link_seconds=_VIDEO_LINK_SECONDS,
        first_poll_seconds=30,
        poll_seconds=10,
        active_limit=5,
    )


FLUX_3_VIDEOS: Final = (
    _video(
        _VIDEO,
        "BFL API reference of 2026-10-08, flux-3-video; SDKs generated from the provider's OpenAPI "
        "document in 2026-09 agree",
        variants=_MODES,
    ),
    _video(
        "flux-tools/video-edit-v1",
        "BFL API reference of 2026-10-08, video-edit-v1",
        parameters={"video": _CLIP, "prompt": _PROMPT, "safety_tolerance": _SAFETY},
    ),
    _video(
        "flux-tools/video-upscale-v1",
        "BFL API reference of 2026-10-08, video-upscale-v1",
        parameters={
            "input_video": replace(_CLIP, disagreement=""),
            "prompt": PROMPT,
            "creativity": Parameter(kind=Kind.INTEGER, minimum=0, maximum=1),
            "upscale_factor": Parameter(kind=Kind.NUMBER, minimum=1.5, maximum=3),
            "safety_tolerance": _SAFETY,
        },
        webhook=True,
    ),
)
