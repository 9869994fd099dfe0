"""From the body of `POST /v1/jobs` to what is asked for, with every complaint at once."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from core.catalogue import Kind, Model
from core.egress import callback_url_problem
from core.parsing import key_template_problem
from core.settings import Settings
from service.bounds import HIGHEST_PRIORITY, LARGEST_METADATA, LONGEST_KEY
from service.images import InputImage, decode_image
from service.problems import Complaint, Problem, invalid
from service.validation import check_input, is_unicode, is_url, kind_of, shown, unknown_field

_FIELDS: Final = ("model", "input", "callback", "output", "priority", "metadata")
_DEEPEST: Final = 100  # levels of objects and arrays
_JOB_ID_LENGTH: Final = 36  # characters of a UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A body that is as it must be."""

    model: str
    input: Mapping[str, Any]
    images: Mapping[str, InputImage] = field(default_factory=dict)
    callback_url: str | None = None
    output_key: str | None = None
    priority: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)


def parse_json(raw: bytes) -> Any:
    """Read a JSON text (RFC 8259); NaN and Infinity are none.

    Raises:
        Problem: 400, with the place where it breaks.
    """
    try:
        body = json.loads(raw, parse_constant=_refuse_constant, parse_float=_finite)
        _check_depth(body)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        detail = f"The body is not valid JSON ({error.msg} at {where}); send one JSON object"
    except (ValueError, RecursionError):
        detail = "The body is not valid JSON: not UTF-8, too deep, NaN, or too large a number"
    else:
        return body
    raise Problem(HTTPStatus.BAD_REQUEST, "invalid-json", detail)


def parse_job(body: Any, settings: Settings) -> NewJob:
    """Check a body and return what it asks for.

    Raises:
        Problem: 422, with everything that is wrong.
    """
    if not isinstance(body, dict):
        allowed = "an object with model and input"
        raise invalid([Complaint("body", f"is {kind_of(body)}", allowed, "send an object")])
    complaints = [
        unknown_field(name, dict.fromkeys(_FIELDS)) for name in body if name not in _FIELDS
    ]
    model = _model(body.get("model"), settings.models, complaints)
    images: dict[str, InputImage] = {}
    if model:
        complaints += check_input(model, body.get("input"))
        images = _images(model, body.get("input"), complaints)
    job = NewJob(
        model=model.name if model else "",
        input=_plain_input(body.get("input"), images),
        images=images,
        callback_url=_callback(body.get("callback"), settings, complaints),
        output_key=_output(body.get("output"), settings, complaints),
        priority=_priority(body.get("priority"), complaints),
        metadata=_metadata(body.get("metadata"), complaints),
    )
    if complaints:
        raise invalid(complaints)
    return job


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _check_depth(body: Any) -> None:
    """Refuse what could be read but, deeper in our own calls, not be written again."""
    level: list[Any] = [[body]]
    depth = 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise RecursionError
        inside = (item.values() if isinstance(item, dict) else item for item in level)
        level = [item for items in inside for item in items if isinstance(item, dict | list)]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _model(name: Any, models: Mapping[str, Model], complaints: list[Complaint]) -> Model | None:
    model = models.get(name) if isinstance(name, str) else None
    if model is None:
        detail = "is missing" if name is None else f"is {shown(name)}, which is not a known model"
        allowed = "one of " + ", ".join(models)
        complaints.append(Complaint("model", detail, allowed, "send one of these names"))
    return model


def _plain_input(given: Any, images: Mapping[str, InputImage]) -> dict[str, Any]:
    """Return the parameters that were sent, without nulls and without images' bytes."""
    pairs = given.items() if isinstance(given, dict) else ()
    return {name: value for name, value in pairs if value is not None and name not in images}


def _images(model: Model, given: Any, complaints: list[Complaint]) -> dict[str, InputImage]:
    """Decode what came as base64; what is no text was complained about before."""
    images: dict[str, InputImage] = {}
    for name, value in given.items() if isinstance(given, dict) else ():
        parameter = model.parameters.get(name)
        is_image = parameter is not None and parameter.kind is Kind.IMAGE
        if is_image and isinstance(value, str) and value and not is_url(value):
            image = decode_image(f"input.{name}", value)
            if isinstance(image, Complaint):
                complaints.append(image)
            else:
                images[name] = image
    return images


def _object(
    path: str, given: Any, known: tuple[str, ...], complaints: list[Complaint]
) -> dict[str, Any]:
    """Return an optional object with known fields only; empty where it is none."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        allowed = "an object with " + " and ".join(known)
        complaints.append(Complaint(path, f"is {kind_of(given)}", allowed, f"send {allowed}"))
        return {}
    unknown = (name for name in given if name not in known)
    complaints += [unknown_field(f"{path}.{name}", dict.fromkeys(known)) for name in unknown]
    return given


def _callback(given: Any, settings: Settings, complaints: list[Complaint]) -> str | None:
    if given is None:
        return None
    count = len(complaints)
    url = _object("callback", given, ("url",), complaints).get("url")
    problem: str | None = "is missing" if url is None else f"is {kind_of(url)}"
    if isinstance(url, str):
        problem = callback_url_problem(url, settings.callback_allow_nets)
    if problem is None and isinstance(url, str):
        return url
    if len(complaints) == count:
        allowed = "an http(s) URL that leads to a public address"
        fix = "send a public URL, or have the operator allow its network"
        complaints.append(Complaint("callback.url", str(problem), allowed, fix))
    return None


def _output(given: Any, settings: Settings, complaints: list[Complaint]) -> str | None:
    output = _object("output", given, ("bucket", "key"), complaints)
    bucket, key = output.get("bucket"), output.get("key")
    if bucket not in (None, settings.s3_bucket):
        allowed = f"the bucket {settings.s3_bucket}"
        fix = "leave output.bucket out"
        complaints.append(Complaint("output.bucket", f"is {shown(bucket)}", allowed, fix))
    if key is None:
        return None
    problem: str | None = f"is {kind_of(key)}"
    if isinstance(key, str):
        fits = key and is_unicode(key) and len(key.encode()) <= LONGEST_KEY
        problem = key_template_problem(key) if fits else "is empty or too long"
        if problem is None and len(_filled(key, settings).encode()) > LONGEST_KEY:
            problem = "is too long once it is filled in"
    if problem:
        allowed = f"a key of 1 to {LONGEST_KEY} bytes; {{job_id}}, {{date}}, {{ext}} are filled in"
        fix = "send such a key, or leave output.key out"
        complaints.append(Complaint("output.key", problem, allowed, fix))
    return str(key)


def _filled(key: str, settings: Settings) -> str:
    """Return the longest key that a template may become."""
    return key.format(
        job_id="-" * _JOB_ID_LENGTH,
        date="2026-01-01",
        ext="webp",
        model=max(settings.models, key=len),
        tenant=max(settings.api_keys.values(), key=len),
    )


def _priority(given: Any, complaints: list[Complaint]) -> int:
    if given is None:
        return 0
    whole = isinstance(given, int) and not isinstance(given, bool)
    if whole and -HIGHEST_PRIORITY <= given <= HIGHEST_PRIORITY:
        return int(given)
    allowed = f"a whole number from {-HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}, higher goes first"
    complaints.append(Complaint("priority", f"is {shown(given)}", allowed, f"send {allowed}"))
    return 0


def _metadata(given: Any, complaints: list[Complaint]) -> dict[str, Any]:
    if given is None:
        return {}
    size = len(json.dumps(given))
    if isinstance(given, dict) and size <= LARGEST_METADATA:
        return given
    detail = f"has {size} bytes" if isinstance(given, dict) else f"is {kind_of(given)}"
    allowed = f"an object of at most {LARGEST_METADATA} bytes as JSON"
    complaints.append(Complaint("metadata", detail, allowed, "shorten it"))
    return {}
