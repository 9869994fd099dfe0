"""Query parameters, each of which may be given once: of two values, neither is guessed at."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from service.http.problems import FieldError, invalid


def repeated(query: QueryParams, names: Iterable[str]) -> list[FieldError]:
    """Return an error about each of these parameters that is given more than once."""
    return [
        FieldError(f"query.{name}", "is given more than once", "one value", "send it once")
        for name in names
        if len(query.getlist(name)) > 1
    ]


def unknown(query: QueryParams, names: Collection[str]) -> list[FieldError]:
    """Return an error about each parameter that is none of these."""
    allowed = f"one of {', '.join(names)}" if names else "no parameters"
    return [
        FieldError(f"query.{name}", "is not known", allowed, "leave it out")
        for name in dict.fromkeys(query)
        if name not in names
    ]


def refuse_all(request: Request[Any], **fixes: str) -> None:
    """Refuse every parameter: a mistyped or misplaced one must not be ignored in silence.

    Args:
        request: A request that takes none.
        fixes: What to do in place of some that callers may expect, by name.

    Raises:
        Problem: 422, with every parameter.
    """
    if not request.scope["query_string"]:
        return
    errors = [
        replace(one, fix=fixes.get(one.field.removeprefix("query."), one.fix))
        for one in unknown(request.query_params, ())
    ]
    if errors:
        raise invalid(errors)


def only_value(query: QueryParams, name: str) -> str | None:
    """Return the value of a parameter, or None where it is not given.

    Raises:
        Problem: 422; it is given more than once.
    """
    if errors := repeated(query, [name]):
        raise invalid(errors)
    return query.get(name)
