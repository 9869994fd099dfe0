"""Lists, videos, variants, times and limits in a deployment's file of models."""

from pathlib import Path

import pytest

from core.provider.catalogue import Kind, Media, Parameter, Variant
from core.provider.models_file import read_models
from tests.unit.models_files import NEW, problems_of, write

FIRST = {"names": ["a", "alias"], "parameters": {"size": {"kind": "integer", "maximum": 9}}}
SAME = {"names": ["b", "alias"], "parameters": {}}
VARIED = {"name": "flux-9", "source": "a test", "variant_field": "mode", "variants": [FIRST]}


_FRAMES = {"kind": "keyframes", "most": 10, "minimum": 0, "duration": "duration"}
_MAKE = {
    "keyframes": {**_FRAMES, "shortest_side": 256, "most_pixels": 1000, "most_bytes": 99},
    "duration": {"kind": "integer", "minimum": 5, "maximum": 20, "word": "auto"},
    "draft": {"kind": "boolean", "only_with": {"resolution": ["hd"]}, "adds": "draft_cache"},
    "images": {"kind": "images", "most": 3},
}
_RENDER = {
    "video": {"kind": "video", "required": True, "most_seconds": 20.5},
    "cache": {"kind": "bundle", "urls": False},
}
_NEWER = {
    "name": "flux-9",
    "source": "a test",
    "variant_field": "mode",
    "variants": [
        {"names": ["make", "m"], "parameters": _MAKE},
        {"names": ["render"], "parameters": _RENDER},
    ],
    "media": "video",
    "link_seconds": 7200,
    "first_poll_seconds": 30.5,
    "poll_seconds": 5,
    "deadline_seconds": 900,
    "active_limit": 5,
    "lane": "flux-3-video",
    "webhook": False,
}


def test_all_that_newer_models_have(tmp_path: Path) -> None:
    """Lists, keyframes, videos, words, variants, times and limits can be said in a file."""
    model = read_models(write(tmp_path, _NEWER))["flux-9"]

    first, second = model.variants
    assert (model.variant_field, first.names, second.names) == ("mode", ("make", "m"), ("render",))
    assert first.parameters["keyframes"] == Parameter(
        kind=Kind.KEYFRAMES,
        most=10,
        minimum=0,
        duration="duration",
        shortest_side=256,
        most_pixels=1000,
        most_bytes=99,
    )
    assert first.parameters["duration"].word == "auto"
    assert first.parameters["draft"].only_with == {"resolution": ("hd",)}
    assert first.parameters["draft"].adds == "draft_cache"
    assert first.parameters["images"] == Parameter(kind=Kind.IMAGES, most=3)
    assert second.parameters == {
        "video": Parameter(kind=Kind.VIDEO, required=True, most_seconds=20.5),
        "cache": Parameter(kind=Kind.BUNDLE, urls=False),
    }
    assert (model.media, model.link_seconds, model.active_limit) == (Media.VIDEO, 7200, 5)
    assert (model.first_poll_seconds, model.poll_seconds) == (30.5, 5)
    assert model.deadline_seconds == 900
    assert type(model.media) is Media


def test_variants_like_those_of_another(tmp_path: Path) -> None:
    """A copied variant is changed by its first name; others stay, new ones come, null ends one."""
    second = {"names": ["b"], "parameters": {"size": {"kind": "integer"}}}
    like = {"name": "flux-10", "like": "flux-9"}
    size = {"kind": "integer", "maximum": 12}
    changed = {"names": ["a", "other"], "parameters": {"size": size, "raw": {"kind": "boolean"}}}
    third = {"names": ["c"], "parameters": {}}
    first = {**VARIED, "variants": [FIRST, second]}
    copy = {**like, "variants": [changed, third, {"names": ["b"], "parameters": None}]}

    models = read_models(write(tmp_path, first, {**like, "name": "flux-11"}, copy))

    assert models["flux-11"].variants == models["flux-9"].variants
    assert models["flux-10"].variants == (
        Variant(
            names=("a", "other"),
            parameters={
                "size": Parameter(kind=Kind.INTEGER, maximum=12),
                "raw": Parameter(kind=Kind.BOOLEAN),
            },
        ),
        Variant(names=("c",), parameters={}),
    )


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({**NEW, "media": "sound"}, "models[0].media: must be one of image, video"),
        ({**NEW, "link_seconds": 0}, "models[0].link_seconds: must be a number above 0"),
        ({**NEW, "poll_seconds": "1"}, "models[0].poll_seconds: must be a number above 0"),
        ({**NEW, "active_limit": 1.5}, "models[0].active_limit: must be a whole number above 0"),
        ({**NEW, "variant_field": "a b"}, "models[0].variant_field: must be a parameter's name"),
        ({**NEW, "variant_field": "mode"}, "models[0].variant_field: needs variants"),
        ({**NEW, "variants": {}}, "models[0].variants: must be an array"),
        ({**NEW, "variants": [5]}, "models[0].variants[0]: must be an object"),
        ({**NEW, "variants": [{"names": []}]}, "models[0].variants[0].names: must be an array"),
        ({**NEW, "variants": [{"names": ["a"]}]}, "models[0].variants[0].parameters: is missing"),
        ({**NEW, "variants": [FIRST]}, "models[0].variants: need a variant_field"),
        ({**VARIED, **NEW}, "models[0].parameters: a model with variants has none of its own"),
        ({**VARIED, "variants": [FIRST, SAME]}, "models[0].variants: a name comes twice"),
        ({**VARIED, "variant_field": "size"}, "models[0].variant_field: is the name of a"),
        (
            {**VARIED, "variants": [{"names": ["a"], "parameters": {"x": {"kind": "colour"}}}]},
            "models[0].variants[0].parameters.x.kind: must be one of text",
        ),
    ],
)
def test_a_bad_model(tmp_path: Path, entry: object, problem: str) -> None:
    """What is wrong with a model's facts or variants is said with its place."""
    assert any(line.startswith(problem) for line in problems_of(write(tmp_path, entry)))


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("x", {"kind": "image", "most": 3}, ".most: is not for the kind image"),
        ("x", {"kind": "text", "word": "auto"}, ".word: is not for the kind text"),
        ("x", {"kind": "video", "shortest_side": 9}, ".shortest_side: is not for the kind video"),
        ("x", {"kind": "images", "most_seconds": 9}, ".most_seconds: is not for the kind images"),
        ("x", {"kind": "images", "most": 0}, ".most: must be a whole number above 0"),
        ("x", {"kind": "images", "duration": "d"}, ".duration: is not for the kind images"),
        ("x", {"kind": "keyframes", "duration": "a b"}, ".duration: must be a parameter's name"),
        ("x", {"kind": "boolean", "only_with": {"y": []}}, ".only_with: must be an object of arr"),
        ("x", {"kind": "choice", "choices": ["a"], "only_with": {}}, ".only_with: is not for the"),
        ("x", {"kind": "boolean", "adds": "preview"}, ".adds: must be draft_cache"),
        ("x", {"kind": "bundle", "adds": "draft_cache"}, ".adds: is not for the kind bundle"),
    ],
)
def test_a_bad_parameter(tmp_path: Path, name: str, value: object, problem: str) -> None:
    """A field that its kind has not, or whose value is none, is said with its place."""
    (said,) = problems_of(write(tmp_path, {**NEW, "parameters": {name: value}}))

    assert said.startswith(f"models[0].parameters.{name}{problem}")
