"""How values are checked: bounds by hand on two models, types and null on all of them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from core.provider.catalogue import MODELS, Kind
from service.http.caller_values import kind_of, shown
from service.http.problems import FieldError
from service.intake.model_parameters import check_input
from tests.model_inputs import FORMS, minimal, parameters_of

KONTEXT, PRO = MODELS["flux-kontext-pro"], MODELS["flux-pro-1.1"]
WRONG_TYPES: list[Any] = [True, False, 1, 1.0, "text", [], {}, ["jpeg"], {"a": 1}]


def _check(model_name: str, mode: str = "", /, **given: Any) -> list[FieldError]:
    model = MODELS[model_name]
    return check_input(model, minimal(model, mode) | given)


def test_the_catalogue_is_the_provider_s() -> None:
    """Names, paths and required parameters of two models."""
    assert (KONTEXT.path, PRO.path) == ("/v1/flux-kontext-pro", "/v1/flux-pro-1.1")
    images = {name for name, one in KONTEXT.parameters.items() if one.kind is Kind.IMAGE}
    assert images == {"input_image", "input_image_2", "input_image_3", "input_image_4"}
    assert [name for name, one in KONTEXT.parameters.items() if one.required] == ["prompt"]
    assert [name for name, one in PRO.parameters.items() if one.required] == []
    assert "webhook_url" not in {*KONTEXT.parameters, *PRO.parameters}


@pytest.mark.parametrize(
    ("model", "name", "good", "bad"),
    [
        *[
            (model, name, good, bad)
            for model in ("flux-kontext-pro", "flux-pro-1.1")
            for name, good, bad in [
                ("safety_tolerance", [0, 1, 6], [-1, 7, 10**400]),
                ("seed", [0, -1, 2**31, 2**64, -(10**30)], []),
                ("output_format", ["jpeg", "png", "webp"], ["", "JPEG", "jpg", "gif", " png"]),
                ("user", ["u", "ü" * 256], ["", "u" * 257, "\ud800"]),
                ("prompt_upsampling", [True, False], []),
                ("prompt", ["", "p" * 100_000, "ein Bär 😀", "\x00"], ["\ud800", "a\udfffb"]),
            ]
        ],
        *[
            (
                "flux-pro-1.1",
                side,
                [256, 288, 1024, 1440],
                [0, -256, 224, 255, 257, 1439, 1441, 1472],
            )
            for side in ("width", "height")
        ],
        (
            "flux-kontext-pro",
            "aspect_ratio",
            ["1:1", "16:9", "9:16", "21:9", "9:21", "7:3", "3:7", "210:90", "99999:99999"],
            [
                *(
                    "22:9",
                    "9:22",
                    "21:8",
                    "0:1",
                    "1:0",
                    "0:0",
                    "1:",
                    ":1",
                    "1",
                    "",
                    "1:1:1",
                    "-1:1",
                ),
                *("1.5:1", " 1:1", "1:1 ", "1 : 1", "1x1", "1:1\n", "999999:999999", "16/9"),
                "\N{ARABIC-INDIC DIGIT ONE}:1",
            ],
        ),
        (
            "flux-kontext-pro",
            "input_image_4",
            ["https://example.com/a.png", "HTTP://example.com", "aGVsbG8=", "http://[::1]/"],
            [
                *("", "https://", "http:///a.png", "https://[::1", "https://h/\ud800"),
                *("https://?x", "https://h/" + "x" * 2074),
            ],
        ),
        ("flux-pro-1.1", "image_prompt", ["aGVsbG8="], ["", "https://example.com/a.png"]),
    ],
)
def test_bounds(model: str, name: str, good: list[Any], bad: list[Any]) -> None:
    """A value at or within its bounds is taken; beyond them it is the only error."""
    for value in good:
        assert (value, _check(model, **{name: value})) == (value, [])
    for value in bad:
        errors = _check(model, **{name: value})
        assert (value, [one.field for one in errors]) == (value, [f"input.{name}"])


def test_the_longest_url_of_an_image_is_taken() -> None:
    """At exactly the provider's limit a URL is fine."""
    assert _check("flux-kontext-pro", input_image="https://h/" + "x" * 2073) == []


@pytest.mark.parametrize(("model", "mode"), FORMS)
def test_wrong_types_are_named(model: str, mode: str) -> None:
    """No type passes for another: a boolean and 1.0 are no whole numbers, a number is no text."""
    fitting: Mapping[Kind, tuple[type, ...]] = {
        Kind.INTEGER: (int,),
        Kind.NUMBER: (int, float),
        Kind.BOOLEAN: (bool,),
        Kind.IMAGES: (str, list),
        Kind.KEYFRAMES: (str, list),
    }
    for name, parameter in parameters_of(MODELS[model], mode).items():
        types = fitting.get(parameter.kind, (str,))
        for value in (value for value in WRONG_TYPES if type(value) not in types):
            errors = _check(model, mode, **{name: value})
            assert [one.field for one in errors] == [f"input.{name}"], (name, value)
            assert errors[0].detail.startswith("is ")


@pytest.mark.parametrize(("model", "mode"), FORMS)
def test_null_is_not_sent(model: str, mode: str) -> None:
    """A parameter that is null counts as left out, wherever it may be left out."""
    parameters = parameters_of(MODELS[model], mode)
    optional = [name for name, one in parameters.items() if not one.required]

    assert _check(model, mode, **dict.fromkeys(optional)) == []


@pytest.mark.parametrize("given", [{}, {"prompt": None}])
def test_a_missing_prompt(given: Mapping[str, Any]) -> None:
    """Where a prompt is required, its absence and null are the same error."""
    (field_error,) = check_input(KONTEXT, given)

    assert (field_error.field, field_error.detail) == ("input.prompt", "is missing")
    assert field_error.fix == "add prompt to input"
    assert check_input(PRO, given) == []


@pytest.mark.parametrize("given", [None, [], "text", 1, True, 1.5])
def test_an_input_that_is_no_object(given: Any) -> None:
    """It is one error about the input as a whole, also where it is missing."""
    (field_error,) = check_input(PRO, given)

    assert field_error.field == "input"
    assert "an object" in field_error.allowed


@pytest.mark.parametrize("name", ["width", "webhook_url", "Prompt", "", "\ud800", "x" * 999])
def test_unknown_fields_are_named_with_the_known_ones(name: str) -> None:
    """A field that the model has not is an error that lists those that it has."""
    (field_error,) = _check("flux-kontext-pro", **{name: 1})

    assert field_error.field == f"input.{name}"[:60]
    assert "aspect_ratio, input_image" in field_error.allowed


def test_all_errors_at_once() -> None:
    """Whatever is wrong is said in one answer, unknown and missing fields included."""
    errors = _check(
        "flux-pro-1.1", width=100, height="tall", seed=1.5, output_format="gif", odd=1, user=""
    )

    assert [field_error.field.removeprefix("input.") for field_error in errors] == [
        "width",
        "height",
        "seed",
        "output_format",
        "odd",
        "user",
    ]


@pytest.mark.parametrize(
    ("name", "value", "detail", "allowed"),
    [
        ("width", 100, "is 100", "a multiple of 32 from 256 to 1440"),
        ("width", True, "is a boolean", "a multiple of 32 from 256 to 1440"),
        ("safety_tolerance", 7, "is 7", "a whole number from 0 to 6"),
        ("seed", 1.0, "is a number with a fraction", "a whole number"),
        ("prompt_upsampling", "yes", "is a text", "true or false"),
        ("output_format", "gif", "is 'gif'", "one of jpeg, png, webp"),
        ("user", "u" * 300, "has 300 characters", "a text of 1 to 256 characters"),
        ("prompt", 5, "is a number", "a text"),
        ("image_prompt", "https://example.com/", "is a URL", "an image as base64"),
        ("output_format", "x" * 999, "is '" + "x" * 59 + "…", "one of jpeg, png, webp"),
    ],
)
def test_a_field_error_says_what_is_wrong_allowed_and_to_do(
    name: str, value: Any, detail: str, allowed: str
) -> None:
    """Each names the field, what is wrong with it, what may stand there, and the way out."""
    (field_error,) = _check("flux-pro-1.1", **{name: value})

    assert field_error == FieldError(
        f"input.{name}", detail, allowed, f"send {allowed}, or leave input.{name} out"
    )


@pytest.mark.parametrize(
    ("model", "width", "height", "fine"),
    [
        ("flux-2-pro", 2048, 2048, True),
        ("flux-2-pro", 4096, 1024, True),
        ("flux-2-pro", 4096, 1025, False),
        ("flux-2-flex", 2048, 2049, False),
        ("flux-2-klein-4b", 10**30, 64, False),
        ("flux-tools/outpainting-v1", 4096, 4096, True),
    ],
)
def test_width_and_height_together(model: str, width: int, height: int, *, fine: bool) -> None:
    """FLUX.2 makes at most 4,194,304 pixels; more are refused before they wait for a slot."""
    needed = minimal(MODELS[model])
    errors = check_input(MODELS[model], {**needed, "width": width, "height": height})

    assert [field_error.field for field_error in errors] == ([] if fine else ["input.width"])
    assert all("4194304 pixels" in field_error.allowed for field_error in errors)


@pytest.mark.parametrize("digits", [20, 2500, 4300])
def test_a_picture_with_more_pixels_than_python_writes_down(digits: int) -> None:
    """Each side is a number that JSON may hold; what they come to is too long to be repeated."""
    side = 10 ** (digits - 1)

    (field_error,) = check_input(
        MODELS["flux-2-pro"], {"prompt": "a", "width": side, "height": side}
    )

    assert field_error.field == "input.width"
    assert len(field_error.detail) < 200


@pytest.mark.parametrize("model", ["flux-2-pro", "flux-2-flex", "flux-2-klein-9b"])
def test_the_safety_tolerance_of_flux_2(model: str) -> None:
    """FLUX.2 takes a safety tolerance of 0 to 5, as the provider enforces."""
    assert check_input(MODELS[model], {"prompt": "a", "safety_tolerance": 5}) == []
    (field_error,) = check_input(MODELS[model], {"prompt": "a", "safety_tolerance": 6})
    assert field_error.allowed == "a whole number from 0 to 5"


def test_every_kind_of_json_has_a_name() -> None:
    """Whatever JSON can hold can be named, and shown in bounded length."""
    values = json.loads('[null, true, 1, 1.5, "t", [1], {"a": 1}]')

    assert [kind_of(value) for value in values] == [
        "null",
        "a boolean",
        "a number",
        "a number",
        "a text",
        "an array",
        "an object",
    ]
    assert all(
        len(shown(value * 999 if isinstance(value, str) else value)) <= 61 for value in values
    )
