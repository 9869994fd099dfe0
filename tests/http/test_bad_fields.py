"""A body with bad fields is refused with every error at once, and nothing is taken in."""

import base64
from typing import Any

import pytest

from tests.http.conftest import Caller, NothingTakenIn, Traces

PRO = "flux-pro-1.1"
KONTEXT = "flux-kontext-pro"
NOT_AN_IMAGE = base64.b64encode(b"this is a text and no image at all").decode()


def pro(**fields: object) -> dict[str, object]:
    """Return a body with the fields added to the model's input."""
    return {"model": PRO, "input": {"prompt": "a bad day", **fields}}


def kontext(**fields: object) -> dict[str, object]:
    """Return the same for the model that edits images."""
    return {"model": KONTEXT, "input": {"prompt": "a bad day", **fields}}


def good(**fields: object) -> dict[str, object]:
    """Return a body with the fields added beside its input."""
    return {**pro(), **fields}


#: Body, the field that must be named, and a word of what is allowed.
BAD: list[tuple[object, str, str]] = [
    ([], "body", "object"),
    ({"input": {"prompt": "x"}}, "model", PRO),
    ({"model": "flux-9", "input": {"prompt": "x"}}, "model", KONTEXT),
    ({"model": 7, "input": {"prompt": "x"}}, "model", PRO),
    ({"model": PRO}, "input", "object"),
    ({"model": PRO, "input": "x"}, "input", "object"),
    ({"model": KONTEXT, "input": {}}, "input.prompt", "text"),
    ({"model": KONTEXT, "input": {"prompt": None}}, "input.prompt", "text"),
    (kontext(prompt=7), "input.prompt", "text"),
    (kontext(prompt="\ud800"), "input.prompt", "text"),
    (kontext(aspect_ratio="30:9"), "input.aspect_ratio", "21:9"),
    (kontext(aspect_ratio=1.5), "input.aspect_ratio", "16:9"),
    (kontext(input_image=7), "input.input_image", "base64"),
    (kontext(input_image=""), "input.input_image", "base64"),
    (kontext(input_image="http://"), "input.input_image", "URL"),
    (kontext(input_image_4="no base64!"), "input.input_image_4", "base64"),
    (kontext(input_image="data:image/png;base64,%%%"), "input.input_image", "base64"),
    (kontext(input_image=NOT_AN_IMAGE), "input.input_image", "PNG"),
    (kontext(width=512), "input.width", "aspect_ratio"),
    (pro(width=255), "input.width", "256 to 1440"),
    (pro(width=1472), "input.width", "256 to 1440"),
    (pro(height=300), "input.height", "multiple of 32"),
    (pro(width="1024"), "input.width", "multiple of 32"),
    (pro(width=1024.5), "input.width", "multiple of 32"),
    (pro(width=True), "input.width", "multiple of 32"),
    (pro(safety_tolerance=7), "input.safety_tolerance", "0 to 6"),
    (pro(safety_tolerance=-1), "input.safety_tolerance", "0 to 6"),
    (pro(seed=1.5), "input.seed", "whole number"),
    (pro(prompt_upsampling="yes"), "input.prompt_upsampling", "true or false"),
    (pro(output_format="gif"), "input.output_format", "webp"),
    (pro(output_format=["png"]), "input.output_format", "png"),
    (pro(user=""), "input.user", "1 to 256"),
    (pro(user="u" * 257), "input.user", "1 to 256"),
    (pro(image_prompt="https://example.com/a.png"), "input.image_prompt", "base64"),
    (pro(webhook_url="https://example.com"), "input.webhook_url", "prompt"),
    (good(prompt="here"), "prompt", "input"),
    (good(**{"\ud800": 1}), "\ud800", "input"),
    (good(priority=101), "priority", "-100 to 100"),
    (good(priority="high"), "priority", "-100 to 100"),
    (good(metadata=[]), "metadata", "object"),
    (good(metadata={"long": "x" * 5000}), "metadata", "4096"),
    (good(metadata={"half": "\ud83d"}), "metadata", "object"),
    (good(metadata={"a": [{"\udc00": 1}]}), "metadata", "object"),
    (good(output={"bucket": "somebody-elses"}), "output.bucket", "fluxrelay"),
    (good(output={"key": "../{job_id}"}), "output.key", "{job_id}"),
    (good(output={"key": "_inputs/{job_id}"}), "output.key", "{job_id}"),
    (good(output={"key": "{job_id.__class__}"}), "output.key", "{job_id}"),
    (good(output={"key": "k" * 901}), "output.key", "900"),
    (good(output={"key": "{{job_id}}.{ext}"}), "output.key", "{job_id}"),
    (good(output={"path": "x"}), "output.path", "key"),
    (good(callback="https://example.com"), "callback", "url"),
    (good(callback={}), "callback.url", "http(s) URL"),
    (good(callback={"url": "https://example.com", "secret": "x"}), "callback.secret", "url"),
]


@pytest.mark.parametrize(("body", "field", "allowed"), BAD)
def test_bad_field(
    api: Caller, nothing_taken_in: NothingTakenIn, body: object, field: str, allowed: str
) -> None:
    """A bad field is named with what is allowed and how to mend it, and no job appears."""
    with nothing_taken_in():
        answer = api.post(body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == "urn:fluxrelay:problem:invalid-fields"
    assert document["status"] == 422
    (field_error,) = document["errors"]
    assert field_error["field"] == field
    assert allowed in field_error["allowed"]
    assert field_error["detail"]
    assert field_error["fix"]


def test_all_errors_at_once(api: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """A body with many mistakes, an unreadable image among them, hears of all of them."""
    body: dict[str, Any] = {
        "model": KONTEXT,
        "input": {
            "aspect_ratio": "99:1",
            "safety_tolerance": 9,
            "wdith": 1,
            "input_image": "no base64!",
            "input_image_2": NOT_AN_IMAGE,
        },
        "callback": {"url": "http://10.0.0.1/"},
        "output": {"key": "/absolute"},
        "priority": 1000,
        "metadata": "text",
        "extra": 1,
    }
    with nothing_taken_in():
        answer = api.post(body)
    assert answer.status_code == 422
    assert {field_error["field"] for field_error in answer.json()["errors"]} == {
        "input.prompt",
        "input.aspect_ratio",
        "input.safety_tolerance",
        "input.wdith",
        "input.input_image",
        "input.input_image_2",
        "callback.url",
        "output.key",
        "priority",
        "metadata",
        "extra",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (good(output={"key": "a\ud800.{ext}"}), "output.key"),
        (good(output={"key": "\udfff"}), "output.key"),
        (good(callback={"url": "https://example.com/\ud83d"}), "callback.url"),
        (good(metadata={"\ud800": 1}), "metadata"),
        (pro(prompt="half \ud83d"), "input.prompt"),
        (pro(user="\udc00"), "input.user"),
        (kontext(input_image="https://example.com/\ud800.png"), "input.input_image"),
        (kontext(input_image="iVBORw0\ud800"), "input.input_image"),
    ],
)
def test_half_a_character_is_called_what_it_is(api: Caller, body: object, field: str) -> None:
    """A lone surrogate, which JSON can hold and UTF-8 cannot, is named as the mistake."""
    answer = api.post(body)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert (error["field"], "unpaired surrogate" in error["detail"]) == (field, True)


@pytest.mark.parametrize(
    ("key", "said"), [("", "must not be empty"), ("k" * 901, "901 bytes"), ("é" * 451, "902 bytes")]
)
def test_a_key_s_length_is_told(api: Caller, key: str, said: str) -> None:
    """Empty is one mistake, too long another."""
    (error,) = api.post(good(output={"key": key})).json()["errors"]
    assert said in error["detail"]


def test_regression_key_with_a_format(api: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """A key whose format would fill the memory is refused and not tried out."""
    for key in ("{job_id:>99999999999}", "{job_id!r}", "{job_id:{date}}", "{job_id"):
        with nothing_taken_in():
            answer = api.post(good(output={"key": key}))
        assert answer.status_code == 422, key
        assert [field_error["field"] for field_error in answer.json()["errors"]] == ["output.key"]


def test_good_job_leaves_traces(api: Caller, traces: Traces) -> None:
    """A good job is found by the very look that finds nothing of a bad one."""
    before = traces()
    job_id = api.create("a good day")
    assert traces() - before == {job_id}
    assert api.ended(job_id)["status"] == "succeeded"
