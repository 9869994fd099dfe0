"""Makes dataclasses of JSON; what they do not know is left in `raw`."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from fluxrelay.errors import FluxRelayError

M = TypeVar("M", bound="Model")


class DecodeError(FluxRelayError):
    """An answer lacks a field that it must have, or a field has another form."""


@dataclasses.dataclass(frozen=True)
class Model:
    """A result. `raw` is the JSON it was made of, with fields that this version does not know."""

    raw: Mapping[str, Any] = dataclasses.field(repr=False, compare=False, kw_only=True)

    @classmethod
    def decode(cls: type[M], raw: Any) -> M:  # noqa: PYI019 - Python 3.10 has no Self
        """Return the result that some JSON holds.

        Raises:
            DecodeError: A field is missing or has another form.
        """
        if not isinstance(raw, dict):
            raise DecodeError(f"a {cls.__name__} is missing: the answer has {type(raw).__name__}")
        values: dict[str, Any] = {"raw": raw}
        model: Any = cls  # what mypy does not take for hashable
        for name, decode, required in _fields(model):
            if raw.get(name) is not None:
                try:
                    values[name] = decode(raw[name])
                except (TypeError, ValueError) as error:
                    raise DecodeError(f"{cls.__name__}.{name} has another form") from error
            elif required:
                raise DecodeError(f"a {cls.__name__} has no {name}")
        return cls(**values)


@cache
def _fields(model: type[Model]) -> tuple[tuple[str, Callable[[Any], Any], bool], ...]:
    """Return each field's name, how to decode it, and whether it must be there."""
    hints = typing.get_type_hints(model)
    return tuple(
        (
            field.name,
            _decoder(hints[field.name]),
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(model)
        if field.name != "raw" and field.init
    )


def _decoder(hint: Any) -> Callable[[Any], Any]:
    """Return what makes a value of a type from JSON."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {types.UnionType, typing.Union}:
        return _decoder(next(a for a in arguments if a is not type(None)))
    if origin is tuple:
        one = _decoder(arguments[0])
        return lambda values: tuple(one(value) for value in values)
    if hint is datetime:
        return moment
    if isinstance(hint, type) and issubclass(hint, Model):
        return hint.decode
    return lambda value: value


def moment(text: str) -> datetime:
    """Return the time that ISO 8601 text means."""
    # Python 3.10 knows no Z, and three or six digits of a second alone, all of which we send.
    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
