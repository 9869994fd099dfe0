"""Validates a request body as the provider does: all errors at once, unknown fields ignored."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sandbox.requests.bodies import Fields
from sandbox.requests.fields import FieldValue, InvalidValueError, Picture
from sandbox.requests.models import Model
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
    values: Values
    sent: Mapping[str, object]

    @property
    def prompt(self) -> str:
        """The prompt; empty if none was sent."""
        return str(self.values.get("prompt") or "")

    @property
    def output_format(self) -> str:
        """The image's format; null in the request means the model's default."""
        return str(self.values["output_format"] or self.model.fields["output_format"].default)

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
    def pictures(self) -> dict[str, str]:
        """The input images by field: base64 or URL."""
        fields = self.model.fields
        return {
            name: str(value)
            for name, value in self.values.items()
            if isinstance(fields[name], Picture) and value is not None
        }

    def without_pictures(self) -> "Request":
        """Return the request without its images and raw body, which may be large."""
        dropped = dict.fromkeys(self.pictures)
        return replace(self, values={**self.values, **dropped}, sent={})

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
    values, errors = _read(model.fields, sent)
    if model.forbids_unknown:
        errors += [
            _field_error("extra_forbidden", ["body", name], "Extra inputs are not permitted", value)
            for name, value in sent.items()
            if name not in model.fields
        ]
    if errors:
        raise InvalidBodyError(errors)
    return Request(model, values, sent)


def read_fields(fields: Fields, body: object) -> Values:
    """Return the values of a parsed body that creates no task.

    Raises:
        InvalidBodyError: With one error per bad field.
    """
    values, errors = _read(fields, _object(body))
    if errors:
        raise InvalidBodyError(errors)
    return values


def _object(body: object) -> Mapping[str, object]:
    if isinstance(body, dict):
        return body
    message = "Input should be a valid dictionary or object to extract fields from"
    raise InvalidBodyError([_field_error("model_attributes_type", ["body"], message, body)])


def _read(
    fields: Fields, body: Mapping[str, object]
) -> tuple[dict[str, FieldValue], list[dict[str, object]]]:
    values: dict[str, FieldValue] = {}
    errors: list[dict[str, object]] = []
    for name, field in fields.items():
        if name not in body:
            values[name] = field.default
            if field.required:
                errors.append(_field_error("missing", ["body", name], "Field required", body))
        elif body[name] is None and field.nullable:
            values[name] = None
        else:
            try:
                values[name] = field.read(body[name])
            except InvalidValueError as error:
                field_error = _field_error(error.kind, ["body", name], error.message, body[name])
                context = {"ctx": error.context} if error.context else {}
                errors.append({**field_error, **context})
    return values, errors


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
