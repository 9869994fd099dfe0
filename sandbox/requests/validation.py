"""Validates a request body as the provider does: all errors at once, unknown fields ignored."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sandbox.requests.bodies import Fields
from sandbox.requests.fields import FieldValue, InvalidValueError
from sandbox.requests.file_fields import FileField, InputFile
from sandbox.requests.models import Model, Variant
from sandbox.requests.sizes import Values


class InvalidBodyError(ValueError):
    """The body breaks the model's rules; `detail` is the answer's list of errors."""

    def __init__(self, detail: list[dict[str, object]]) -> None:
        super().__init__(f"{len(detail)} validation errors")
        self.detail = detail


class UnreadableBodyError(ValueError):
    """The body is not text that could be JSON."""


@dataclass(frozen=True)
class Request:
    """A valid request: the model, every field's value, and the body as it was sent."""

    model: Model
    #: Every field's value; of fields that hold files, the number of files.
    values: Values
    sent: Mapping[str, object]
    files: tuple[InputFile, ...] = ()
    #: Why it cannot have a result; empty: nothing is known yet.
    problem: str = ""

    @property
    def prompt(self) -> str:
        """The prompt; empty if none was sent."""
        return str(self.values.get("prompt") or "")

    @property
    def output_format(self) -> str:
        """The result's format; null in the request means the model's default."""
        return str(self.values.get("output_format") or self.model.usual_format)

    @property
    def seed(self) -> int | None:
        """The requested seed, if any."""
        seed = self.values.get("seed")
        return None if seed is None else int(seed)

    @property
    def webhook_url(self) -> str | None:
        """The caller's webhook URL, if any."""
        return self._text("webhook_url")

    @property
    def webhook_secret(self) -> str | None:
        """The secret for the webhook's header, if any."""
        return self._text("webhook_secret")

    @property
    def is_draft(self) -> bool:
        """Whether a draft of a video is asked for."""
        return bool(self.values.get("draft"))

    def without_files(self) -> "Request":
        """Return the request without its files and raw body, which may be large."""
        return replace(self, files=(), sent={})

    def _text(self, name: str) -> str | None:
        value = self.values.get(name)
        return None if value is None else str(value)


def parse_json(body: bytes | bytearray) -> object:
    """Return the parsed body.

    Raises:
        InvalidBodyError: It is empty or not JSON.
        UnreadableBodyError: It is not UTF-8, or holds numbers that JSON readers disagree on.
    """
    if not body:
        raise InvalidBodyError([_field_error("missing", ["body"], "Field required", None)])
    try:
        return json.loads(body, parse_constant=_refuse_number, parse_float=_finite)
    except json.JSONDecodeError as error:
        field_error = _field_error("json_invalid", ["body", error.pos], "JSON decode error", {})
        raise InvalidBodyError([{**field_error, "ctx": {"error": error.msg}}]) from None
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError("There was an error parsing the body") from error


def validate(model: Model, body: object) -> Request:
    """Return the request of a parsed body.

    Raises:
        InvalidBodyError: With one error per bad field.
    """
    sent = _object(body)
    variant = _variant(model, sent)
    fields: Fields = model.fields
    place: tuple[str, ...] = ("body",)
    if variant is not None:
        fields, place = {**fields, **variant.fields}, ("body", variant.names[0])
    values, files, errors = _read(fields, sent, place)
    if model.forbids_unknown:
        errors += [
            _field_error("extra_forbidden", [*place, name], "Extra inputs are not permitted", value)
            for name, value in sent.items()
            if name not in fields
        ]
    if variant is not None and not errors:
        values["mode"] = variant.names[0]
        if problem := variant.check(values, files):
            errors = [_field_error("value_error", [*place], f"Value error, {problem}", body)]
    if errors:
        raise InvalidBodyError(errors)
    return Request(model, values, sent, tuple(files))


def read_fields(fields: Fields, body: object) -> Values:
    """Return the values of a parsed body that creates no task.

    Raises:
        InvalidBodyError: With one error per bad field.
    """
    values, _, errors = _read(fields, _object(body), ("body",))
    if errors:
        raise InvalidBodyError(errors)
    return values


def _object(body: object) -> Mapping[str, object]:
    if isinstance(body, dict):
        return body
    message = "Input should be a valid dictionary or object to extract fields from"
    raise InvalidBodyError([_field_error("model_attributes_type", ["body"], message, body)])


def _variant(model: Model, sent: Mapping[str, object]) -> Variant | None:
    """Return the variant that `mode` selects; None if the model has none.

    Raises:
        InvalidBodyError: It selects none.
    """
    if not model.variants:
        return None
    mode = sent.get("mode")
    for variant in model.variants:
        if mode in variant.names:
            return variant
    about = {"discriminator": "'mode'"}
    if "mode" not in sent:
        message = "Unable to extract tag using discriminator 'mode'"
        error = _field_error("union_tag_not_found", ["body"], message, sent)
        raise InvalidBodyError([{**error, "ctx": about}])
    tags = ", ".join(repr(name) for variant in model.variants for name in variant.names)
    message = (
        f"Input tag '{mode}' found using 'mode' does not match any of the expected tags: {tags}"
    )
    error = _field_error("union_tag_invalid", ["body"], message, sent)
    raise InvalidBodyError([{**error, "ctx": {**about, "tag": str(mode), "expected_tags": tags}}])


def _read(
    fields: Fields, body: Mapping[str, object], place: tuple[str, ...]
) -> tuple[dict[str, FieldValue], list[InputFile], list[dict[str, object]]]:
    """Return the values, the files, and one error per bad field."""
    values: dict[str, FieldValue] = {}
    files: list[InputFile] = []
    errors: list[dict[str, object]] = []
    for name, field in fields.items():
        if name not in body:
            values[name] = field.default
            if field.required:
                errors.append(_field_error("missing", [*place, name], "Field required", body))
        elif body[name] is None and field.nullable:
            values[name] = None
        else:
            try:
                values[name] = field.read(body[name])
                if isinstance(field, FileField):
                    files += field.files((name,), body[name])
            except InvalidValueError as error:
                field_error = _field_error(error.kind, [*place, name], error.message, body[name])
                context = {"ctx": error.context} if error.context else {}
                errors.append({**field_error, **context})
    return values, files, errors


def _field_error(
    kind: str, place: list[str | int], message: str, value: object
) -> dict[str, object]:
    return {"type": kind, "loc": place, "msg": message, "input": value}


def _refuse_number(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is out of range")
    return number
