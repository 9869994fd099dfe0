"""Boundary values of parameters, on which two validators are compared."""

import base64
from typing import Any, Final

from core.provider.catalogue import Kind, Model, Parameter
from core.settings.settings import Settings
from service.http.problems import Problem
from service.intake.job_request import parse_job
from tests.model_inputs import minimal, picture
from tests.video_files import video

#: Values of every JSON type, some of which any parameter must refuse.
_ANY: Final[tuple[Any, ...]] = (None, True, 1, 0.5, "", "a text", [], {})
_TEXTS: Final = ("\ud800",)
_NUMBERS: Final = (-(2**70), -1, 0, 1, 2**70, 64.0, 1.5, "64")
_BOOLEANS: Final = (False, 0, "yes")
_RATIOS: Final = (
    "21:9", "9:21", "7:3", "3:7", "1:1", "22:9", "9:22", "0:1", "1:0", "16/9", "16:9:1", "-1:1",
)  # fmt: skip
_IMAGES: Final = (
    picture(),
    f"data:image/png;base64,{picture()}",
    base64.b64encode(b"no image").decode(),
    "no base64!",
    "https://images.example/a.png",
    "http://",
)
_VIDEOS: Final = (
    base64.b64encode(video()).decode(),
    f"data:video/mp4;base64,{base64.b64encode(video()).decode()}",
    picture(),
    "no base64!",
    "https://videos.example/a.mp4",
)
#: Items of a list of images, each tried alone.
_ITEMS: Final[tuple[Any, ...]] = (*_IMAGES, 5, None, [])


def bounds(parameter: Parameter) -> tuple[list[Any], list[Any]]:
    """Return what lies just inside of the parameter's bounds, and what lies just outside."""
    inside: list[Any] = []
    outside: list[Any] = []
    if parameter.kind is Kind.TEXT:
        shortest, longest = int(parameter.minimum or 0), parameter.longest
        inside += ["x" * shortest, *(["x" * longest] if longest else [])]
        outside += ["x" * (shortest - 1)] if shortest else []
        outside += ["x" * (longest + 1)] if longest else []
    step = _step(parameter)
    for bound, beyond in ((parameter.minimum, -step), (parameter.maximum, step)):
        if bound is not None and parameter.kind in (Kind.INTEGER, Kind.NUMBER):
            exact = int(bound) if parameter.kind is Kind.INTEGER else bound
            inside += [exact, exact - beyond]
            outside.append(exact + beyond)
            if parameter.multiple_of:
                outside.append(exact - beyond // parameter.multiple_of)
    if parameter.kind in (Kind.IMAGES, Kind.KEYFRAMES):
        pictures = [picture()] * (parameter.most + 1)
        timed = [list(pair) for pair in enumerate(pictures)]
        items = timed if parameter.kind is Kind.KEYFRAMES else pictures
        inside += [pictures[:1], items[:1], items[:-1]]
        outside += [[], items, pictures]
    inside += [parameter.word] if parameter.word else []
    inside += parameter.choices
    outside += [f"{choice}?" for choice in parameter.choices]
    return inside, outside


def probes(parameter: Parameter) -> list[Any]:
    """Return values at the bounds, around them, and of every type."""
    inside, outside = bounds(parameter)
    special: dict[Kind, tuple[Any, ...]] = {
        Kind.TEXT: _TEXTS,
        Kind.INTEGER: _NUMBERS,
        Kind.NUMBER: _NUMBERS,
        Kind.BOOLEAN: _BOOLEANS,
        Kind.CHOICE: (),
        Kind.ASPECT_RATIO: _RATIOS,
        Kind.IMAGE: _IMAGES,
        Kind.VIDEO: _VIDEOS,
        Kind.BUNDLE: (picture(), "no base64!", "https://h/a.bin"),
        Kind.KEYFRAMES: (*_IMAGES, [picture()] * 3, [[1, picture()], [0, picture()]], [[5]], [[]]),
        Kind.IMAGES: (*_IMAGES, *([one] for one in _ITEMS), [picture(), "x"]),
    }
    return [*_ANY, *inside, *outside, *special[parameter.kind]]


def field_errors(model: Model, given: dict[str, Any], settings: Settings) -> list[str]:
    """Return the fields that a job with this input is refused for."""
    try:
        parse_job({"model": model.name, "input": given}, settings)
    except Problem as problem:
        return [field_error.field for field_error in problem.errors]
    return []


def field_errors_for(
    model: Model, name: str, value: Any, settings: Settings, mode: str = ""
) -> list[str]:
    """Return the fields that a job is refused for, whose parameter `name` has this value."""
    return field_errors(model, {**minimal(model, mode), name: value}, settings)


def _step(parameter: Parameter) -> Any:
    if parameter.kind is Kind.NUMBER:
        return 0.01
    return parameter.multiple_of or 1
