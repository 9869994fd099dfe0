"""What schemathesis cannot guess from the OpenAPI document: values of our own formats.

A keyword of JSON Schema cannot say what an image is, or that two numbers have a largest product.
The document names such a format, or says it in a description; here are values that follow it.
"""

import base64
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import schemathesis
from hypothesis import strategies

from core.timestamps import milliseconds
from service.intake.limits import IDEMPOTENCY_KEY_PATTERN
from tests.model_inputs import picture
from tests.video_files import video

#: Of one job; more are a mistake that is left alone.
MOST_FRAMES: Final = 10
_URLS: Final = ("https://images.example/a.png", "http://images.example:8080/b?c=d")
_CALLBACKS: Final = ("https://example.com/hook", "http://example.com:8080/", "https://1.1.1.1/x?y")
_RATIOS: Final = ("21:9", "9:21", "16:9", "1:1", "100:99")
_SOME_MODELS: Final = (".flux-2-pro", ".flux-3-video", ".flux-pro-1.1")
#: The fields of a job that differ from model to model.
_OF_A_MODEL: Final = ("model", "input", "region")
_KEYS: Final = ("a.jpg", "folder/{date}/{job_id}.{ext}", "{tenant}/{model}/{job_id}")

schemathesis.openapi.format("image", strategies.just(picture()))
schemathesis.openapi.format("image-or-url", strategies.sampled_from((picture(), *_URLS)))
_CLIP: Final = base64.b64encode(video()).decode()
schemathesis.openapi.format("video", strategies.just(_CLIP))
schemathesis.openapi.format("video-or-url", strategies.sampled_from((_CLIP, *_URLS)))
schemathesis.openapi.format("bundle", strategies.just(picture()))
schemathesis.openapi.format("bundle-or-url", strategies.sampled_from((picture(), *_URLS)))
schemathesis.openapi.format("aspect-ratio", strategies.sampled_from(_RATIOS))
schemathesis.openapi.format("public-url", strategies.sampled_from(_CALLBACKS))
schemathesis.openapi.format("object-key", strategies.sampled_from(_KEYS))
_RESULTS: Final = ("results.ndjson", "folder/{date}/{batch_id}.ndjson", "{tenant}/{batch_id}")
schemathesis.openapi.format("results-key", strategies.sampled_from(_RESULTS))
schemathesis.openapi.format("custom-id", strategies.uuids().map(str))
_LINE: Final = {"custom_id": "a", "model": "flux-dev", "input": {"prompt": "a"}}
schemathesis.openapi.format("batch-lines", strategies.just(json.dumps(_LINE)))
_AHEAD: Final = strategies.integers(3600, 86_400)
schemathesis.openapi.format("deadline", _AHEAD.map(lambda ahead: milliseconds(time.time() + ahead)))


def _is_timed(frame: Any) -> bool:
    """Return whether a keyframe has valid seconds and something else."""
    if not isinstance(frame, list) or len(frame) != 2 or isinstance(frame[0], bool):
        return False
    return isinstance(frame[0], int | float) and frame[0] >= 0


def _put_in_order(given: dict[str, Any]) -> None:
    """Give keyframes ascending seconds; leave only two of those that need no `duration`."""
    frames = given.get("keyframes")
    if isinstance(frames, list) and frames and all(map(_is_timed, frames)):
        given["keyframes"] = [[at, image] for at, (_, image) in enumerate(frames)]
    elif isinstance(frames, list) and all(isinstance(one, str) for one in frames):
        given["keyframes"] = frames[:2] if len(frames) <= MOST_FRAMES else frames


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    """Send a text as it is; anything else is no line of a batch."""
    return value.encode(errors="replace") if isinstance(value, str) else json.dumps(value).encode()


def _inputs(body: Any) -> Iterator[dict[str, Any]]:
    """Yield the input of a job, or those of a batch's items."""
    if isinstance(body, dict):
        items = body.get("items")
        for job in (body, *(items if isinstance(items, list) else ())):
            given = job.get("input") if isinstance(job, dict) else None
            if isinstance(given, dict):
                yield given


def _name_apart(body: Any) -> None:
    """Give each item of a batch a name of its own, and leave defaults out: any may be in them."""
    items = body.get("items") if isinstance(body, dict) else None
    if isinstance(items, list) and all(isinstance(one, dict) for one in items):
        if isinstance(body.get("defaults"), dict):
            body["defaults"] = {}
        if body.get("on_error") == "skip":  # takes a body with one bad item
            body["on_error"] = "reject"
        names = [one.get("custom_id") for one in items]
        if all(isinstance(one, str) for one in names) and len(set(names)) < len(names):
            for number, one in enumerate(items):
                one["custom_id"] = f"{number}"


def _put_times_in_order(given: Any) -> None:
    """Swap two times of which the later one comes first; others stay as they are."""
    for start, end in (("since", "until"), ("created_after", "created_before")):
        if isinstance(given, dict) and start in given and end in given:
            first, last = (_seconds(given[name]) for name in (start, end))
            if first is not None and last is not None and last < first:
                given[start], given[end] = given[end], given[start]


def _seconds(value: Any) -> float | None:
    """Return a time as Unix seconds; None if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError):
        return None


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Have what is the same for several models tried with few of them.

    That each model's schema says what its check does is held by `unit/test_openapi.py`.
    """
    schemas = raw_schema["components"]["schemas"]
    items = schemas["NewItem"]
    items["oneOf"] = [one for one in items["oneOf"] if one["$ref"].endswith(_SOME_MODELS)]
    for name, job in schemas.items():
        if name.startswith("NewJob.") and not name.endswith(_SOME_MODELS):
            job["properties"] = {field: job["properties"][field] for field in _OF_A_MODEL}
    inputs = [name for name in schemas if name.startswith("Input.")]
    inputs.sort(key=lambda name: not name.endswith(_SOME_MODELS))
    seen: set[tuple[str, str]] = set()
    for name in inputs:
        for form in schemas[name].get("oneOf", [schemas[name]]):
            _leave_new(form, seen, all_of_it=name.endswith(_SOME_MODELS))


def _leave_new(form: dict[str, Any], seen: set[tuple[str, str]], *, all_of_it: bool) -> None:
    """Leave the required parameters of a model, and those that no model before had like this."""
    kept: dict[str, Any] = {}
    for name, schema in form["properties"].items():
        same = name, json.dumps(schema, sort_keys=True)
        if all_of_it or name in form["required"] or same not in seen:
            kept[name] = schema
        seen.add(same)
    form["properties"] = kept


@schemathesis.hook
def map_body(_context: schemathesis.HookContext, body: Any) -> Any:
    """Have parameters go together as the descriptions of their models say."""
    for given in _inputs(body):
        if given.get("draft") is True and given.get("resolution") in ("fhd", "qhd", "uhd"):
            given["resolution"] = "hd"
        _put_in_order(given)
        for side in ("width", "height"):
            value = given.get(side)
            if isinstance(value, int | float) and value > 2048:
                given[side] = 1024
    return body


@schemathesis.hook
def filter_case(_context: schemathesis.HookContext, case: "schemathesis.Case[Any]") -> bool:
    """Send no unknown header that should be refused: every server passes them over."""
    return "x-schemathesis-unknown-property" not in (case.headers or {})


@schemathesis.hook
def before_call(
    _context: schemathesis.HookContext, case: "schemathesis.Case[Any]", _kwargs: dict[str, Any]
) -> None:
    """Give each body a key of its own: one that came with another body before is refused.

    The coverage phase does not ask `map_body`, so keyframes are put in order here as well.
    """
    for given in _inputs(case.body):
        _put_in_order(given)
    _name_apart(case.body)
    _put_times_in_order(case.body)
    _put_times_in_order(case.query)
    if isinstance(case.body, dict) and case.body.get("deadline") is not None:
        case.headers.pop("Cancel-After", None)  # one of both
    if str(case.query.get("wait", "")).isdecimal():
        case.query["wait"] = 0  # no job of this test ends by itself
    if "Prefer" in case.headers:
        case.headers["Prefer"] = "wait=0"
    key = case.headers.get("Idempotency-Key")
    if key and re.fullmatch(IDEMPOTENCY_KEY_PATTERN, str(key)):
        case.headers["Idempotency-Key"] = str(uuid4())
