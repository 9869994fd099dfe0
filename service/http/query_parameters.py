"""Query parameters, each of which may be given once: of two values, neither is guessed at."""

from collections.abc import Collection, Iterable

from starlette.datastructures import QueryParams

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
    allowed = f"one of {', '.join(names)}"
    return [
        FieldError(f"query.{name}", "is not known", allowed, "leave it out")
        for name in dict.fromkeys(query)
        if name not in names
    ]


def only_value(query: QueryParams, name: str) -> str | None:
    """Return the value of a parameter, or None where it is not given.

    Raises:
        Problem: 422; it is given more than once.
    """
    if errors := repeated(query, [name]):
        raise invalid(errors)
    return query.get(name)
