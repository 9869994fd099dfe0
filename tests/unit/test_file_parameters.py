"""Lists of files and keyframes: what is taken, and what is said of every item that is not."""

import base64
import json
from typing import Any

import pytest

from core.provider.catalogue import Kind, Model, Parameter
from core.settings.settings import Settings
from service.http.problems import FieldError, Problem
from service.intake.job_request import NewJob, file_fields, parse_job
from service.intake.model_parameters import allowed_value, check_input
from tests.model_inputs import picture

URL = "https://images.example/a.png"
PICTURE = picture()
IMAGES = Parameter(kind=Kind.IMAGES, most=3)
KEYFRAMES = Parameter(kind=Kind.KEYFRAMES, most=4, minimum=0, duration="duration")
DURATION = Parameter(kind=Kind.INTEGER, minimum=5, maximum=20, word="auto")
MODEL = Model(
    name="flux-9",
    source="a test",
    parameters={
        "images": IMAGES,
        "keyframes": KEYFRAMES,
        "duration": DURATION,
        "clip": Parameter(kind=Kind.VIDEO, most_seconds=20),
        "bundle": Parameter(kind=Kind.BUNDLE, most_bytes=9),
    },
)


def errors(**given: Any) -> list[FieldError]:
    """Return what is wrong with an input, the bytes of its files aside."""
    return check_input(MODEL, given)


def fields(**given: Any) -> list[str]:
    """Return the fields that are wrong, without `input.`."""
    return [one.field.removeprefix("input.") for one in errors(**given)]


def parsed(settings: Settings, **given: Any) -> NewJob:
    """Return the job that an input makes."""
    own = settings.model_copy(update={"models": {"flux-9": MODEL}})
    return parse_job({"model": "flux-9", "input": given}, own)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (URL, []),
        ("aGk=", []),
        ([URL], []),
        ([URL, "aGk=", URL], []),
        ([], ["images"]),
        ([URL] * 4, ["images"]),
        ([1] * 500_000, ["images"]),
        ("", ["images"]),
        (5, ["images"]),
        ({}, ["images"]),
        ({"0": URL}, ["images"]),
        ([URL, "", URL], ["images[1]"]),
        ([None, 5, [URL]], ["images[0]", "images[1]", "images[2]"]),
        ([URL, "https://", "http://?x"], ["images[1]", "images[2]"]),
        (["\ud800", URL, {"image": URL}], ["images[0]", "images[2]"]),
    ],
)
def test_a_list_of_images(value: Any, wrong: list[str]) -> None:
    """One image or a list of them is taken; each bad item is named by its position."""
    assert fields(images=value) == wrong


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (URL, []),
        ([URL, URL], []),
        ([[0, URL]], []),
        ([[0, URL], [0.5, "aGk="], [20, URL]], []),
        ([[-0.1, URL]], ["keyframes[0][0]"]),
        ([[0, URL], [0, URL]], ["keyframes[1][0]"]),
        ([[1, URL], [3, URL], [2, URL]], ["keyframes[2][0]"]),
        ([[5, URL], [1, URL], [2, URL]], ["keyframes[1][0]", "keyframes[2][0]"]),
        ([["1", URL], [True, URL], [None, URL]], [f"keyframes[{at}][0]" for at in range(3)]),
        ([[1, ""], [2, 5], [3, URL]], ["keyframes[0][1]", "keyframes[1][1]"]),
        ([[1, URL], URL, [3, URL]], ["keyframes[1]"]),
        ([[1], [2, URL, URL], []], ["keyframes[0]", "keyframes[1]", "keyframes[2]"]),
        ([[10**400, URL], [10**401, URL]], []),
        ([], ["keyframes"]),
        ([[0, URL]] * 5, ["keyframes"]),
        ([[0, [URL]]], ["keyframes[0][1]"]),
        ([{"seconds": 1}], ["keyframes[0]"]),
    ],
)
def test_keyframes(value: Any, wrong: list[str]) -> None:
    """Seconds ascend, and stand with all keyframes or with none."""
    assert fields(keyframes=value) == wrong


@pytest.mark.parametrize("count", [3, 4])
def test_many_keyframes_without_seconds_need_the_duration(count: int) -> None:
    """Three or more say when they come, or the video how long it is; `auto` does not say it."""
    frames = [URL] * count

    for given in ({}, {"duration": "auto"}, {"duration": None}):
        (error,) = errors(keyframes=frames, **given)
        assert error.field == "input.keyframes"
        assert error.detail == f"has {count} keyframes without seconds"
        assert "duration" in error.fix
    assert errors(keyframes=frames, duration=5) == []
    assert errors(keyframes=frames[:2], duration="auto") == []
    assert errors(keyframes=[[at, URL] for at in range(count)]) == []


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("auto", True),
        (5, True),
        (20, True),
        (4, False),
        (21, False),
        ("AUTO", False),
        ("5", False),
        ("", False),
        (5.5, False),
        (True, False),
    ],
)
def test_a_number_or_a_word(value: Any, *, good: bool) -> None:
    """A parameter may take a word in place of a number, written exactly so."""
    assert fields(duration=value) == ([] if good else ["duration"])
    assert allowed_value(DURATION) == "auto, or a whole number from 5 to 20"


def test_an_error_of_an_item_says_what_to_do() -> None:
    """Each names what is wrong, what is allowed there, and the way out."""
    item, pair, seconds = (
        errors(images=[URL, 5])[0],
        errors(keyframes=[[1, URL], [2]])[0],
        errors(keyframes=[[3, URL], [1, URL]])[0],
    )

    allowed = "an image as base64, or its http(s) URL"
    fix = f"send {allowed}, or take it out of the list"
    assert item == FieldError("input.images[1]", "is a number", allowed, fix)
    assert (pair.detail, pair.allowed) == ("has 1 items", "an array of seconds and image")
    assert (seconds.detail, "ascending" in seconds.fix) == ("is 1, after 3", True)


def test_files_go_to_their_places(settings: Settings) -> None:
    """Files in base64 are taken out of the input, by place; null stands for them in arrays."""
    job = parsed(
        settings,
        images=[URL, PICTURE, URL],
        keyframes=[[0, PICTURE], [1.5, URL], [2, PICTURE]],
        bundle=base64.b64encode(b"a bundle").decode(),
    )

    assert job.input == {
        "images": [URL, None, URL],
        "keyframes": [[0, None], [1.5, URL], [2, None]],
    }
    assert {place: one.content_type for place, one in job.files.items()} == {
        "images.1": "image/png",
        "keyframes.0.1": "image/png",
        "keyframes.2.1": "image/png",
        "bundle": "application/octet-stream",
    }
    assert job.files["bundle"].file.read() == b"a bundle"
    assert job.files["images.1"].file.read() == base64.b64decode(PICTURE)


def test_all_bad_files_at_once(settings: Settings) -> None:
    """What is wrong with bytes is named beside what is wrong with lists, each once."""
    given = {
        "images": [PICTURE, "no base64!", 5],
        "keyframes": [[2, "aGk="], [1, PICTURE]],
        "clip": PICTURE,
        "bundle": base64.b64encode(bytes(10)).decode(),
        "duration": 1,
    }

    with pytest.raises(Problem) as caught:
        parsed(settings, **given)

    found = {one.field.removeprefix("input."): one.detail for one in caught.value.errors}
    assert len(caught.value.errors) == len(found)
    assert found == {
        "images[1]": "is neither an http(s) URL nor valid base64",
        "images[2]": "is a number",
        "keyframes[0][1]": "is not an image",
        "keyframes[1][0]": "is 1, after 2",
        "clip": "is PNG, not MP4",
        "bundle": "has 10 bytes",
        "duration": "is 1",
    }
    assert json.loads(bytes(caught.value.response().body))["status"] == 422


@pytest.mark.parametrize("text", ["", "data:application/octet-stream;base64,"])
def test_an_empty_bundle(settings: Settings, text: str) -> None:
    """A bundle of no bytes is none."""
    with pytest.raises(Problem) as caught:
        parsed(settings, bundle=text)

    assert [(one.field, one.detail) for one in caught.value.errors] == [
        ("input.bundle", "is empty")
    ]


def test_where_bodies_hold_files() -> None:
    """Of all models that have a field, the deepest and the largest count."""
    other = Model(
        name="flux-8",
        source="a test",
        parameters={
            "images": Parameter(kind=Kind.IMAGE, most_bytes=30 * 1024 * 1024),
            "prompt": Parameter(kind=Kind.TEXT),
        },
    )
    found = file_fields([MODEL, other])

    assert {name: one.arrays for name, one in found.items()} == {
        "images": 1,
        "keyframes": 2,
        "clip": 0,
        "bundle": 0,
    }
    assert found["images"].largest == 30 * 1024 * 1024
    assert found["keyframes"].largest == 20 * 1024 * 1024
    assert found["clip"].largest == 50 * 1024 * 1024
    assert found["bundle"].largest == 9
