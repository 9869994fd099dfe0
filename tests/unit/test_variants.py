"""A model whose parameters depend on one field, such as a mode, and switches that narrow others."""

from typing import Any

import pytest

from core.provider.catalogue import MODELS, Kind, Model, Parameter, Variant
from core.settings.settings import Settings
from service.drop_in.request_body import parse_flat
from service.http.problems import FieldError, Problem
from service.intake.job_request import file_fields, parse_job
from service.intake.model_parameters import check_input
from service.openapi.document import input_schema
from tests.model_inputs import picture

PROMPT = Parameter(kind=Kind.TEXT, required=True)
STEPS = Parameter(kind=Kind.INTEGER, minimum=1, maximum=9)
RESOLUTION = Parameter(kind=Kind.CHOICE, choices=("hd", "fhd"))
DRAFT = Parameter(kind=Kind.BOOLEAN, only_with={"resolution": ("hd",)}, adds="draft_cache")
MODEL = Model(
    name="flux-9",
    source="a test",
    parameters={},
    variant_field="mode",
    variants=(
        Variant(
            names=("draw", "text-to-image"),
            parameters={
                "prompt": PROMPT,
                "steps": STEPS,
                "resolution": RESOLUTION,
                "draft": DRAFT,
            },
        ),
        Variant(
            names=("edit",),
            parameters={
                "image": Parameter(kind=Kind.IMAGE, required=True),
                "steps": Parameter(kind=Kind.INTEGER, minimum=1, maximum=3),
            },
        ),
    ),
    webhook=False,
)


def errors(**given: Any) -> list[FieldError]:
    """Return what is wrong with an input."""
    return check_input(MODEL, given)


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "draw", "prompt": "a"},
        {"mode": "text-to-image", "prompt": "a", "steps": 9},
        {"mode": "edit", "image": "https://h/a.png", "steps": 3},
    ],
)
def test_each_mode_by_each_of_its_names(given: dict[str, Any]) -> None:
    """A mode, or an alias of it, selects the parameters that count."""
    assert errors(**given) == []


@pytest.mark.parametrize(
    ("mode", "detail"),
    [
        (None, "is missing"),
        ("paint", "is 'paint'"),
        ("DRAW", "is 'DRAW'"),
        ("", "is ''"),
        (1, "is 1"),
        (["draw"], 'is ["draw"]'),
        ({}, "is {}"),
    ],
)
def test_no_such_mode(mode: Any, detail: str) -> None:
    """Without a mode the modes are told, and nothing is said of fields that some mode has."""
    given = {"prompt": 5, "image": "", "promt": "a"} | ({} if mode is None else {"mode": mode})

    wrong, unknown = errors(**given)

    assert (wrong.field, wrong.detail) == ("input.mode", detail)
    assert wrong.allowed == "one of draw, text-to-image, edit"
    assert (unknown.field, unknown.detail) == ("input.promt", "is not a known field")
    assert unknown.allowed == "one of draft, image, mode, prompt, resolution, steps"


def test_a_field_of_another_mode() -> None:
    """It is named with the mode that has it; a field of no mode is just unknown."""
    foreign, unknown = errors(mode="draw", prompt="a", image="https://h/a.png", seed=1)

    assert (foreign.field, foreign.detail) == ("input.image", "is not a field of the mode draw")
    assert foreign.allowed == "one of draft, mode, prompt, resolution, steps"
    assert foreign.fix == "remove it, or send the mode edit"
    assert (unknown.field, unknown.detail) == ("input.seed", "is not a known field")


def test_bounds_and_required_fields_are_the_mode_s_own() -> None:
    """The same name has the bounds of its mode; what another mode requires is not missed."""
    assert [one.field for one in errors(mode="edit", steps=4)] == ["input.image", "input.steps"]
    assert [one.field for one in errors(mode="draw", steps=10)] == ["input.prompt", "input.steps"]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"draft": True}, []),
        ({"draft": True, "resolution": "hd"}, []),
        ({"draft": True, "resolution": None}, []),
        ({"draft": False, "resolution": "fhd"}, []),
        ({"draft": None, "resolution": "fhd"}, []),
        ({"draft": True, "resolution": "fhd"}, ["input.resolution"]),
        ({"draft": True, "resolution": "uhd"}, ["input.resolution"]),
    ],
)
def test_a_switch_that_narrows_another_field(given: dict[str, Any], wrong: list[str]) -> None:
    """While it is on, the other field has fewer values, or is left out."""
    assert [one.field for one in errors(mode="draw", prompt="a", **given)] == wrong


def test_the_error_of_a_switch_says_what_to_do() -> None:
    """It names both fields."""
    (error,) = errors(mode="draw", prompt="a", draft=True, resolution="fhd")

    assert (error.detail, error.allowed) == ("is 'fhd'", "one of hd while draft is true")
    assert error.fix == "leave resolution out, or send draft as false"


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        ({"mode": "draw", "draft": True}, ("draft_cache",)),
        ({"mode": "text-to-image", "draft": True}, ("draft_cache",)),
        ({"mode": "draw", "draft": False}, ()),
        ({"mode": "draw", "draft": None}, ()),
        ({"mode": "draw"}, ()),
        ({"mode": "edit", "draft": True}, ()),
        ({}, ()),
    ],
)
def test_a_switch_that_adds_a_file_to_the_result(
    given: dict[str, Any], roles: tuple[str, ...]
) -> None:
    """While it is on, in a mode that has it, the result has a further file."""
    assert MODEL.further_roles(given) == roles


@pytest.mark.parametrize("mode", ["t2v", "image-continuation", "v2v"])
def test_a_draft_of_a_video_has_a_bundle(mode: str) -> None:
    """Every mode that makes drafts says so; rendering one in full makes no other."""
    model = MODELS["flux-3-video"]

    assert model.further_roles({"mode": mode, "draft": True}) == ("draft_cache",)
    assert model.further_roles({"mode": "draft_enhance"}) == ()


def test_a_job_of_a_mode(settings: Settings) -> None:
    """The mode is sent on as it was written, and files are those of the mode's parameters."""
    own = settings.model_copy(update={"models": {"flux-9": MODEL}})
    given = {"mode": "edit", "image": picture(), "steps": 2.0}

    job = parse_job({"model": "flux-9", "input": given}, own)

    assert (job.input, type(job.input["steps"])) == ({"mode": "edit", "steps": 2}, int)
    assert list(job.files) == ["image"]
    assert set(file_fields([MODEL])) == {"image"}


def test_the_drop_in_face(settings: Settings) -> None:
    """Values are read as the mode's parameters, and a field of another mode is refused."""
    own = settings.model_copy(update={"models": {"flux-9": MODEL}})
    body = {"mode": "draw", "prompt": "a", "steps": "5", "draft": "yes"}

    job = parse_flat(body, own, {}, model=MODEL, origin="http://relay")

    assert job.input == {"mode": "draw", "prompt": "a", "steps": 5, "draft": True}
    with pytest.raises(Problem) as caught:
        parse_flat({**body, "image": "x"}, own, {}, model=MODEL, origin="http://relay")
    assert [one.field for one in caught.value.errors] == ["input.image"]


def test_a_schema_for_each_mode() -> None:
    """The OpenAPI document has one closed schema for each mode, with all of its names."""
    draw, edit = input_schema(MODEL)["oneOf"]

    assert draw["properties"]["mode"] == {"enum": ["draw", "text-to-image"]}
    assert draw["required"] == ["prompt", "mode"]
    assert edit["required"] == ["image", "mode"]
    assert edit["properties"]["steps"]["maximum"] == 3
    assert draw["additionalProperties"] is edit["additionalProperties"] is False
