"""What all operations stand on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fluxrelay.errors import InvalidArgumentError
from fluxrelay.operations.values import given, query, whole_seconds
from fluxrelay.protocol.body import Body, json_body
from fluxrelay.protocol.effects import Flow
from fluxrelay.protocol.messages import Answer, Request, path
from fluxrelay.protocol.session import Session
from fluxrelay.types.decode import DecodeError, Model
from fluxrelay.types.reference import Page

M = TypeVar("M", bound=Model)

#: Seconds that an answer may take longer where thousands of jobs and their files are concerned.
PATIENCE_WITH_MANY = 300.0


class Operations:
    """Operations of one kind of thing."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _get(self, *segments: str, params: tuple[tuple[str, str], ...] = ()) -> Flow[Answer]:
        return (yield from self._session.call(Request("GET", path(*segments), params)))

    def _look(self, *segments: str, wait: float | None, once: bool = False) -> Flow[Answer]:
        """Ask how something stands, when it has ended or `wait` seconds later; perhaps `once`."""
        params = query(given(wait=whole_seconds(wait)))
        request = Request("GET", path(*segments), params, patience=wait or 0)
        return (yield from (self._session.attempt if once else self._session.call)(request))

    def _post(
        self,
        *segments: str,
        body: Body | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
        patience: float = 0,
    ) -> Flow[Answer]:
        content = body if isinstance(body, Body) or body is None else json_body(body)
        request = Request(
            "POST",
            path(*segments),
            headers=headers or {},
            body=content,
            repeatable=repeatable,
            patience=patience,
        )
        return (yield from self._session.call(request))

    def _page(
        self, model: type[M], *segments: str, name: str, params: tuple[tuple[str, str], ...]
    ) -> Flow[Page[M]]:
        """Return a page of a list, whose items stand in the field `name` of the answer."""
        raw = (yield from self._get(*segments, params=params)).mapping()
        return Page(items(raw, name, model.decode), raw.get("next_cursor"), raw)


def idempotency(key: str | None) -> dict[str, str]:
    """Return the header of an idempotency key, which is made here unless the caller has one.

    Raises:
        InvalidArgumentError: The caller's cannot be one.
    """
    key = key or str(uuid.uuid4())
    if not (key.isascii() and key.isprintable() and key == key.strip()):
        text = "the idempotency key must be printable ASCII, without blanks around it"
        raise InvalidArgumentError(text)
    return {"idempotency-key": key}


def items(raw: Mapping[str, Any], name: str, decode: Callable[[Any], M]) -> tuple[M, ...]:
    """Return the results that a list in an answer holds.

    Raises:
        DecodeError: The answer has no such list, or it holds something else.
    """
    found = raw.get(name)
    if not isinstance(found, list):
        raise DecodeError(f"the answer has no list of {name}")
    return tuple(decode(item) for item in found)
