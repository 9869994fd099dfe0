"""A body becomes a job to be, or a problem that names everything at once."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest

from core.settings.settings import Settings
from service.body.json_body import parse_json
from service.http.problems import Problem
from service.intake.job_request import NewJob, parse_job

Encode = Callable[..., str]
GOOD: dict[str, Any] = {"model": "flux-pro-1.1", "input": {"prompt": "p"}}


def _fields(body: Any, settings: Settings) -> list[str]:
    with pytest.raises(Problem) as caught:
        parse_job(body, settings)
    assert caught.value.status is HTTPStatus.UNPROCESSABLE_ENTITY
    assert all(one.detail and one.allowed and one.fix for one in caught.value.errors)
    # Whatever the caller sent, the answer can be sent.
    assert json.loads(bytes(caught.value.response().body))["status"] == 422
    return [one.field for one in caught.value.errors]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' {"a": [1, 2.5, null, true, "\xc3\xa4"]}\n', {"a": [1, 2.5, None, True, "ä"]}),
        (b"[]", []),
        (b"null", None),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'\xef\xbb\xbf{"a": "\xc3\xa4"}', {"a": "ä"}),
        (b"[" * 99 + b"]" * 99, json.loads("[" * 99 + "]" * 99)),
    ],
)
def test_good_json(raw: bytes, value: Any) -> None:
    """Any JSON text is read."""
    assert parse_json(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 1} x',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": -1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'"\xff"',
        '{"a": "ä"}'.encode("utf-16"),
        '{"a": "ä"}'.encode("utf-16-le"),
        '{"a": "ä"}'.encode("utf-32"),
        b'{"a": "\x01"}',
        b"[" * 100 + b"]" * 100,
        b'{"a":' * 950 + b"1" + b"}" * 950,
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"model=flux",
    ],
)
def test_bad_json(raw: bytes) -> None:
    """What is no JSON, or could not be written again, is one problem with status 400."""
    with pytest.raises(Problem) as caught:
        parse_json(raw)
    assert (caught.value.status, caught.value.kind) == (HTTPStatus.BAD_REQUEST, "invalid-json")


def test_broken_json_says_where() -> None:
    """The problem names line and column."""
    with pytest.raises(Problem) as caught:
        parse_json(b'{"a": 1,\n "b" 2}')
    assert "line 2, column 6" in caught.value.detail


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b'{"model": "a", "input": {}, "model": "b"}', "model"),
        (b'{"model": "a", "mod\\u0065l": "a"}', "model"),
        (b'{"input": {"prompt": "a", "seed": 1, "prompt": "a"}}', "prompt"),
        (b'{"metadata": {"a": [{"": 1, "": 2}]}}', ""),
        (b'[{"x": 1, "x": {"x": 1}}]', "x"),
    ],
)
def test_a_name_that_stands_twice_in_an_object(raw: bytes, name: str) -> None:
    """A name that an object holds twice, however deep and however written, is named with a 400."""
    with pytest.raises(Problem) as caught:
        parse_json(raw)

    assert (caught.value.status, caught.value.kind) == (HTTPStatus.BAD_REQUEST, "duplicate-field")
    assert f"two fields named {name!r}" in caught.value.detail


def test_the_same_name_in_different_objects() -> None:
    """A name may stand once in each of several objects."""
    assert parse_json(b'{"a": {"a": [{"a": 1}, {"a": 2}]}}') == {"a": {"a": [{"a": 1}, {"a": 2}]}}


def test_the_smallest_body(settings: Settings) -> None:
    """Model and input are enough; all else is empty."""
    assert parse_job(GOOD, settings) == NewJob(model="flux-pro-1.1", input={"prompt": "p"})


def test_a_whole_body(settings: Settings, encoded: Encode) -> None:
    """Every field arrives; nulls are left out, and images' bytes are taken out of the input."""
    body = {
        "model": "flux-kontext-pro",
        "input": {
            "prompt": "p",
            "seed": 0,
            "prompt_upsampling": False,
            "aspect_ratio": None,
            "input_image": encoded("JPEG"),
            "input_image_2": "https://example.com/a.png",
            "input_image_3": None,
        },
        "callback": {"url": "https://example.com/done"},
        "output": {"bucket": "pictures", "key": "{date}/{job_id}.{ext}"},
        "priority": -100,
        "max_resubmits": 0,
        "metadata": {"order": 1},
    }

    job = parse_job(body, settings)

    assert job.input == {
        "prompt": "p",
        "seed": 0,
        "prompt_upsampling": False,
        "input_image_2": "https://example.com/a.png",
    }
    assert {name: image.content_type for name, image in job.files.items()} == {
        "input_image": "image/jpeg"
    }
    assert (job.callback_url, job.output_key) == (
        "https://example.com/done",
        "{date}/{job_id}.{ext}",
    )
    assert (job.priority, job.max_resubmits, job.metadata) == (-100, 0, {"order": 1})


@pytest.mark.parametrize(
    "name", ["callback", "output", "priority", "max_resubmits", "metadata", "deadline"]
)
def test_optional_fields_may_be_null(settings: Settings, name: str) -> None:
    """Null is the same as left out."""
    assert parse_job(GOOD | {name: None}, settings) == parse_job(GOOD, settings)


@pytest.mark.parametrize("body", [None, [], "text", 5, True, 1.5])
def test_a_body_that_is_no_object(settings: Settings, body: Any) -> None:
    """It is one error about the body."""
    assert _fields(body, settings) == ["body"]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"model": None}, ["model"]),
        ({"model": "flux"}, ["model"]),
        ({"model": "\ud800" * 99}, ["model"]),
        ({"model": 5}, ["model"]),
        ({"model": ["flux-pro-1.1"]}, ["model"]),
        ({"input": None}, ["input"]),
        ({"input": "p"}, ["input"]),
        ({"odd": 1, "\ud800": 2}, ["odd", "\ud800"]),
        ({"callback": "https://example.com/"}, ["callback"]),
        ({"callback": {}}, ["callback.url"]),
        ({"callback": {"url": None}}, ["callback.url"]),
        ({"callback": {"url": 5}}, ["callback.url"]),
        ({"callback": {"url": ""}}, ["callback.url"]),
        ({"callback": {"url": "http://127.0.0.1/"}}, ["callback.url"]),
        ({"callback": {"url": "http://10.8.0.1/"}}, ["callback.url"]),
        ({"callback": {"url": "https://example.com/\ud800"}}, ["callback.url"]),
        ({"callback": {"url": "https://example.com/\n"}}, ["callback.url"]),
        ({"callback": {"url": "https://example.com/", "secret": "s"}}, ["callback.secret"]),
        ({"output": "key"}, ["output"]),
        ({"output": {"path": "x"}}, ["output.path"]),
        ({"output": {"bucket": "other"}}, ["output.bucket"]),
        ({"output": {"bucket": ["pictures"]}}, ["output.bucket"]),
        ({"output": {"key": ""}}, ["output.key"]),
        ({"output": {"key": 5}}, ["output.key"]),
        ({"output": {"key": "/abs"}}, ["output.key"]),
        ({"output": {"key": "_inputs/x"}}, ["output.key"]),
        ({"output": {"key": "a/../b"}}, ["output.key"]),
        ({"output": {"key": "a\nb"}}, ["output.key"]),
        ({"output": {"key": "folder/"}}, ["output.key"]),
        ({"output": {"key": "{job_id}/"}}, ["output.key"]),
        ({"output": {"key": "a//b.png"}}, ["output.key"]),
        ({"output": {"key": "a/./b.png"}}, ["output.key"]),
        ({"output": {"key": "a/b.png."}}, ["output.key"]),
        ({"output": {"key": "a /b.png"}}, ["output.key"]),
        ({"output": {"key": "a\\b.png"}}, ["output.key"]),
        ({"output": {"key": "other.png.json"}}, ["output.key"]),
        ({"output": {"key": "_probe/condition"}}, ["output.key"]),
        ({"output": {"key": "\ud800"}}, ["output.key"]),
        ({"output": {"key": "{secret}"}}, ["output.key"]),
        ({"output": {"key": "{job_id:>999999999999}"}}, ["output.key"]),
        ({"output": {"key": "k" * 901}}, ["output.key"]),
        ({"output": {"key": "ä" * 451}}, ["output.key"]),
        ({"output": {"key": "{job_id}" * 26}}, ["output.key"]),
        ({"priority": 101}, ["priority"]),
        ({"priority": -101}, ["priority"]),
        ({"priority": True}, ["priority"]),
        ({"priority": 1.5}, ["priority"]),
        ({"priority": "1"}, ["priority"]),
        ({"priority": 10**400}, ["priority"]),
        ({"max_resubmits": 4}, ["max_resubmits"]),
        ({"max_resubmits": -1}, ["max_resubmits"]),
        ({"max_resubmits": True}, ["max_resubmits"]),
        ({"max_resubmits": "1"}, ["max_resubmits"]),
        ({"metadata": []}, ["metadata"]),
        ({"metadata": "text"}, ["metadata"]),
        ({"metadata": {"a": "x" * 4088}}, ["metadata"]),
        ({"metadata": {"half": "\ud83d"}}, ["metadata"]),
        ({"metadata": {"\udc00": 1}}, ["metadata"]),
        ({"metadata": {"a": [1, {"b": ["x\ude00\ud83d"]}]}}, ["metadata"]),
    ],
)
def test_bad_fields(settings: Settings, change: dict[str, Any], fields: list[str]) -> None:
    """Each bad field is the only error, by its path."""
    assert _fields(GOOD | change, settings) == fields


@pytest.mark.parametrize(
    "change",
    [
        {"priority": 100},
        {"priority": 0},
        {"max_resubmits": 0},
        {"max_resubmits": 3},
        {"metadata": {}},
        {"metadata": {"a": "x" * 4087}},
        {"metadata": {"a": [None, {"b": -1.5}]}},
        {"metadata": {"whole": "\U0001f600", "escaped": "\\ud83d", "replaced": "\ufffd"}},
        {"output": {}},
        {"output": {"bucket": None, "key": None}},
        {"output": {"key": "k" * 900}},
        {"output": {"key": "{job_id}" * 25}},
        {"output": {"key": "ä b/x.png"}},
        {"callback": {"url": "http://10.9.0.1/"}},
    ],
)
def test_good_fields(settings: Settings, change: dict[str, Any]) -> None:
    """At its bounds a field is taken."""
    assert parse_job(GOOD | change, settings).model == "flux-pro-1.1"


def test_all_errors_at_once(settings: Settings, encoded: Encode) -> None:
    """All parts of a body are checked, an image among them, whatever else is wrong."""
    body = {
        "model": "flux-kontext-pro",
        "input": {"input_image": "no base64!", "input_image_2": encoded(), "width": 1, "seed": "x"},
        "callback": {"url": "http://localhost/"},
        "output": {"bucket": "other", "key": ""},
        "priority": 1000,
        "metadata": [],
        "odd": 1,
    }

    assert sorted(_fields(body, settings)) == [
        "callback.url",
        "input.input_image",
        "input.prompt",
        "input.seed",
        "input.width",
        "metadata",
        "odd",
        "output.bucket",
        "output.key",
        "priority",
    ]
