"""Arguments as the service takes them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from fluxrelay.errors import InvalidArgumentError
from fluxrelay.types.batches import Batch
from fluxrelay.types.jobs import Job

#: A time: a datetime with its zone, ISO 8601 text, or Unix seconds.
Time = datetime | str | float
#: A job's deadline: seconds from now, or a time.
Deadline = timedelta | datetime | str | float
#: How long a link is valid; a number is seconds.
Life = timedelta | int
JobOrId = Job | str
BatchOrId = Batch | str


def id_of(item: Job | Batch | str) -> str:
    """Return an id, which must not be empty, for it becomes a part of a path.

    Raises:
        InvalidArgumentError: The id is empty.
    """
    found = item if isinstance(item, str) else item.id
    if not found:
        raise InvalidArgumentError("the id is empty")
    return found


def time_of(name: str, value: Time | None) -> str | float | None:
    """Return a time as JSON takes it.

    Args:
        name: the argument's name.
        value: the time.

    Raises:
        ValueError: A datetime has no zone, so it may mean any of several times.
        TypeError: The value is no time.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name} needs a zone, such as datetime.now(timezone.utc)")
        return value.isoformat()
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{name} must be a datetime, ISO 8601 text or Unix seconds, not {value!r}")


def deadline_of(value: Deadline | None) -> str | float | None:
    """Return a deadline as JSON takes it. Raises as `time_of`."""
    return value.total_seconds() if isinstance(value, timedelta) else time_of("deadline", value)


def life_of(value: Life | None) -> int | None:
    """Return the life of a link in whole seconds, rounded down."""
    return int(value.total_seconds()) if isinstance(value, timedelta) else value


def whole_seconds(seconds: float | None) -> int | None:
    """Return seconds to wait as the service takes them, rounded up."""
    return None if seconds is None else math.ceil(seconds)


def given(**values: Any) -> dict[str, Any]:
    """Return the values that are given, which are those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def callback_of(callback: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a callback, of which the URL alone may be given."""
    return {"url": callback} if isinstance(callback, str) else callback


def several(values: str | Iterable[str] | None) -> list[str] | None:
    """Return one or several texts as a list."""
    if values is None:
        return None
    return [values] if isinstance(values, str) else list(values)


def job_filter(
    *,
    status: str | Iterable[str] | None = None,
    model: str | None = None,
    created_after: Time | None = None,
    created_before: Time | None = None,
    batch: BatchOrId | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a filter of jobs as JSON."""
    return given(
        status=several(status),
        model=model,
        created_after=time_of("created_after", created_after),
        created_before=time_of("created_before", created_before),
        batch=None if batch is None else id_of(batch),
        metadata=metadata,
    )


def query(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return values as the parameters of a query: lists repeated, objects as `name.KEY`."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            pairs += query({f"{name}.{key}": item for key, item in value.items()})
        elif isinstance(value, list):
            pairs += ((name, str(item)) for item in value)
        elif value is not None:
            pairs.append((name, value if isinstance(value, str) else json.dumps(value)))
    return tuple(pairs)
