"""A request and its answer, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from fluxrelay.errors import InvalidArgumentError, UnexpectedAnswerError
from fluxrelay.protocol.body import Body

_OK = 200
_REDIRECT = 300
_PROBLEM = 400


@dataclass(frozen=True)
class Request:
    """A request to the service.

    Args:
        repeatable: whether it may be sent again when it is unknown whether it took effect.
        patience: seconds that the answer may take longer than others, because the service waits.
    """

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    repeatable: bool = True
    patience: float = 0

    @property
    def idempotency_key(self) -> str | None:
        """Return the request's idempotency key."""
        return self.headers.get("idempotency-key")


@dataclass(frozen=True)
class Answer:
    """An answer of the service. The names of its headers are in small letters."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    #: The runner's own object of an answer that is streamed.
    streamed: Any = field(default=None, repr=False, compare=False)

    @property
    def is_success(self) -> bool:
        """Tell whether the request was carried out."""
        return _OK <= self.status < _REDIRECT

    @property
    def is_redirect(self) -> bool:
        """Tell whether the answer lies elsewhere."""
        return _REDIRECT <= self.status < _PROBLEM and "location" in self.headers

    def date(self) -> datetime | None:
        """Return the service's clock, to the second; None if the answer does not tell it."""
        try:
            return parsedate_to_datetime(self.headers.get("date", ""))
        except ValueError:
            return None

    def json(self) -> Any:
        """Return the parsed content.

        Raises:
            UnexpectedAnswerError: The content is not JSON.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise UnexpectedAnswerError(self.status, self.content) from error

    def mapping(self) -> dict[str, Any]:
        """Return the parsed content, which must be an object.

        Raises:
            UnexpectedAnswerError: The content is not a JSON object.
        """
        content = self.json()
        if not isinstance(content, dict):
            raise UnexpectedAnswerError(self.status, self.content)
        return content


def path(*segments: str) -> str:
    """Join segments into a path; whatever they hold, each stays one segment.

    Raises:
        InvalidArgumentError: One is `.` or `..`, which would lead elsewhere, also if it is encoded.
    """
    for segment in segments:
        if segment in {".", ".."}:
            raise InvalidArgumentError(f"{segment!r} is no id")
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)
