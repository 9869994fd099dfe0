"""A client's settings, and how it makes one request: sent, sent again if need be, understood."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from urllib.parse import urlsplit

from fluxrelay.errors import (
    ConfigurationError,
    ProblemError,
    UnexpectedAnswerError,
    UnreachableError,
    problem,
)
from fluxrelay.protocol.effects import Close, Flow, Sleep, read, send
from fluxrelay.protocol.messages import Answer, Request
from fluxrelay.protocol.retry import RetryPolicy, retry_after
from fluxrelay.protocol.version import VERSION

#: The largest content of a refusal that is read.
_LONGEST_PROBLEM = 4 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Session:
    """Where the service is, who calls, and how patiently."""

    url: str
    key: str = dataclasses.field(repr=False)
    retries: RetryPolicy

    @classmethod
    def of(
        cls,
        url: str | None,
        key: str | None,
        retries: RetryPolicy,
        environment: Mapping[str, str] = os.environ,
    ) -> Session:
        """Return the session of a client; what is not given comes from the environment.

        Raises:
            ConfigurationError: There is no address or no key.
        """
        # A file or a secret store often leaves a line end behind what it holds. In a header, that
        # is an error which shows the whole key.
        url = (url or environment.get("FLUXRELAY_URL", "")).strip()
        key = (key or environment.get("FLUXRELAY_KEY", "")).strip()
        if not url:
            raise ConfigurationError("no address: pass `url`, or set FLUXRELAY_URL")
        if not key:
            raise ConfigurationError("no key: pass `key`, or set FLUXRELAY_KEY")
        if not _is_address(url):
            raise ConfigurationError(f"the address must be an http(s) URL, not {url!r}")
        if not (key.isascii() and key.isprintable()):
            raise ConfigurationError("the key must be printable ASCII, on one line")
        return cls(url.rstrip("/"), key, retries)

    def call(self, request: Request) -> Flow[Answer]:
        """Return the answer to a request.

        Raises:
            UnreachableError: No complete answer came.
            ProblemError: The service did not carry the request out.
            UnexpectedAnswerError: The answer is no answer of FluxRelay.
        """
        return (yield from self._call(request, stream=False))

    def open(self, request: Request) -> Flow[Answer]:
        """Return the beginning of the answer to a request; its content is to be read. As `call`."""
        return (yield from self._call(request, stream=True))

    def _call(self, request: Request, *, stream: bool) -> Flow[Answer]:
        failures, sent = 0, False
        while True:
            try:
                return (yield from self.attempt(request, stream=stream))
            except (UnreachableError, ProblemError) as error:
                failures += 1
                wait = self.retries.wait(request, error, failures)
                sent = sent or not isinstance(error, UnreachableError) or error.sent
                if wait is None:
                    if isinstance(error, UnreachableError):
                        error.sent = sent  # by any of the attempts
                    raise
            yield Sleep(wait)

    def attempt(
        self, request: Request, *, stream: bool = False, foreign: bool = False
    ) -> Flow[Answer]:
        """Send a request once; to its own URL and without the key if it is `foreign`. As `call`."""
        sent = request if foreign else self.authorized(request)
        answer = yield from send(sent, stream=stream)
        if answer.is_success or answer.is_redirect:
            return answer
        content = answer.content
        if stream:
            content = yield from _rest(answer)
        if answer.status < 400:  # noqa: PLR2004 - what HTTP calls an error
            raise UnexpectedAnswerError(answer.status, content)
        raise problem(
            answer.status,
            content,
            retry_after=retry_after(answer.headers.get("retry-after"), datetime.now(timezone.utc)),
            idempotency_key=request.idempotency_key,
        )

    def authorized(self, request: Request) -> Request:
        """Return a request as it is sent: to the service's address, with the key."""
        headers = {
            "accept": "application/json",
            **request.headers,
            "authorization": f"Bearer {self.key}",
            "user-agent": f"fluxrelay-python/{VERSION}",
        }
        return dataclasses.replace(request, path=self.url + request.path, headers=headers)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # of a [ without its ]
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()


def _rest(answer: Answer) -> Flow[bytes]:
    """Read the content of a refusal, and close it."""
    content = b""
    while len(content) < _LONGEST_PROBLEM:
        chunk = yield from read(answer)
        if not chunk:
            break
        content += chunk
    yield Close(answer)
    return content
