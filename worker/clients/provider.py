"""The client of the provider's API. Only the HTTP clients and `worker.network` use httpx."""

import contextlib
import logging
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from core.errors import Transient
from core.log import event
from core.provider.partial_json import leading_members
from core.provider.retry_after import retry_after_seconds
from core.provider.wire_format import (
    KEY_HEADER,
    Kind,
    Notice,
    parse_credits,
    parse_notice,
)
from core.security.address_rules import host_of, is_provider_url
from core.text_values import Secret
from worker.clients.submit_body import Payload, Source
from worker.clients.submit_outcomes import (
    LONGEST_QUOTE,
    Accepted,
    AcceptedWithoutId,
    AccountRefused,
    InDoubt,
    NotSent,
    Outcome,
    classify,
)
from worker.network.guarded_http import Deadline, open_client, read_body

_log = logging.getLogger(__name__)

_CONNECT_TIMEOUT: Final = 5.0  # seconds
_MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024  # bytes; previews may come inline
#: Statuses that, like 5xx, say nothing about a task and may change on the next request.
_TRANSIENT_STATUSES: Final = (401, 402, 403, 408, 425, 429)
#: The request did not reach the provider.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
#: Maximum number of refused polling hosts that are logged.
_MOST_WARNED: Final = 100


class _TruncatedAcceptance(httpx.HTTPError):
    """A submit was answered with 2xx, but the answer broke off."""


class ProviderClient:
    """Submits tasks and fetches their results.

    Args:
        base_url: The account's API host.
        key: The account's API key; sent to the provider's hosts only.
        timeout: Seconds to wait for an answer.
        send_timeout: Seconds for sending a submit's images, if longer than `timeout`.
        lifetime: Seconds that a result URL is valid if it does not state its expiry.
        connections: Maximum number of concurrent requests.
        poll_urls: Further API hosts of the account.
        longest_pause: Upper bound in seconds for `Retry-After`.
        ssl_context: Shared by the clients of a process.
        proxy: As in `worker.network.proxies.transport_through`.
    """

    def __init__(
        self,
        base_url: str,
        key: Secret,
        *,
        timeout: float,
        lifetime: float,
        connections: int,
        ssl_context: ssl.SSLContext,
        send_timeout: float = 0.0,
        proxy: Secret | None = None,
        poll_urls: Sequence[str] = (),
        longest_pause: float = 300.0,
    ) -> None:
        self._base_url = base_url
        self._key = key
        self._timeout = timeout
        self._send_timeout = max(timeout, send_timeout)
        self._lifetime = lifetime
        self._own_urls = (base_url, *poll_urls)
        self._longest_pause = longest_pause
        self._warned: set[str] = set()
        self._deadline = Deadline()
        self._client = open_client(
            timeout=httpx.Timeout(timeout, connect=min(_CONNECT_TIMEOUT, timeout)),
            connections=connections,
            ssl_context=ssl_context,
            deadline=self._deadline,
            proxy=proxy,
        )

    def submit(
        self, path: str, body: Mapping[str, Any], images: Mapping[str, Source] | None = None
    ) -> Outcome:
        """Post one task, once, and return the outcome.

        A request whose last part was never sent cannot have been accepted: it is shorter than its
        stated length (RFC 9112 section 8: incomplete), and its body is not valid JSON. So no
        failure before that part leaves the job in doubt, whoever caused it.

        Args:
            path: The model's endpoint.
            body: The parameters and webhook fields.
            images: Images to send as base64, by field; read while they are sent.

        Raises:
            Transient: An image could not be read now, or took too long; nothing was accepted.
            Permanent: An image is missing; nothing was accepted.
        """
        payload = Payload(body, images or {}, seconds=self._send_timeout)
        try:
            status, headers, raw = self._request("POST", self._base_url + path, payload)
        except _NOT_SENT as error:
            return NotSent(_describe(error))
        except _TruncatedAcceptance as error:
            outcome: Outcome = AcceptedWithoutId(f"accepted, but the answer broke off: {error}")
        except httpx.HTTPError as error:
            outcome = InDoubt(_describe(error))
        else:
            outcome = classify(status, raw, self._retry_after(headers))
            if isinstance(outcome, Accepted) and not self._can_poll(outcome):
                outcome = AcceptedWithoutId("an answer without a task id")
        if isinstance(outcome, InDoubt | AcceptedWithoutId) and payload.handed_over_at is None:
            return NotSent(f"{outcome.message}, before the request was sent completely")
        return outcome

    def credits(self) -> float | AccountRefused:
        """Return the account's credits (BFL OpenAPI, GET /v1/credits), or why it is refused.

        Raises:
            Transient: No usable answer came.
        """
        try:
            status, headers, raw = self._request("GET", f"{self._base_url}/v1/credits")
        except httpx.HTTPError as error:
            raise Transient(f"credits: {_describe(error)}") from error
        if status == httpx.codes.OK and (left := parse_credits(raw)) is not None:
            return left
        outcome = classify(status, raw, self._retry_after(headers))
        if isinstance(outcome, AccountRefused):
            return outcome
        raise Transient(f"credits answered {status}", retry_after=self._retry_after(headers))

    def result_url(self, provider_id: str, base_url: str | None = None) -> str:
        """Return the URL of a task's result (BFL OpenAPI, GET /v1/get_result)."""
        return f"{base_url or self._base_url}/v1/get_result?id={quote(provider_id, safe='')}"

    def may_poll(self, url: str) -> bool:
        """Return whether a polling URL may get the account's key; log a warning if not."""
        named_by_operator = url.startswith(tuple(f"{own}/" for own in self._own_urls))
        if named_by_operator or is_provider_url(url, self._own_urls):
            return True
        host = host_of(url)
        if host not in self._warned and len(self._warned) < _MOST_WARNED:
            self._warned.add(host)
            event(_log, "provider.foreign_host", logging.WARNING, host=host)
        return False

    def result(
        self, url: str, within: float | None = None, lifetime: float | None = None
    ) -> Notice:
        """Fetch a task's result once.

        A 404 is a notice too, and so is an answer with another status that holds a task (the
        provider has been seen to send a failed task with 422). An answer without a task that will
        not change, such as a redirect or an HTML page, is `UNUSABLE`.

        Args:
            url: A URL from `result_url`, or a polling URL.
            within: Seconds that the answer may take, if less than usual.
            lifetime: Seconds that this task's link is valid, if not as usual.

        Raises:
            Transient: No notice came; a retry may get one.
        """
        if not self.may_poll(url):
            raise Transient("get_result: the URL is not on one of the provider's hosts")
        try:
            status, headers, raw = self._request("GET", url, within=within)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Transient(f"get_result: {_describe(error)}") from error
        with contextlib.suppress(ValueError):
            notice = parse_notice(raw, time.time(), lifetime or self._lifetime)
            if notice.status and (notice.provider_id or status == httpx.codes.OK):
                return notice
        if status == httpx.codes.NOT_FOUND:
            return Notice(kind=Kind.NOT_FOUND, status="Task not found")
        said = f"get_result answered {status}"
        if status in _TRANSIENT_STATUSES or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Transient(said, retry_after=self._retry_after(headers))
        message = f"The provider's answers do not mention the task: {said}"
        return Notice(kind=Kind.UNUSABLE, status="", message=message)

    def _can_poll(self, accepted: Accepted) -> bool:
        """Return whether the accepted task can be polled."""
        told = accepted.submission
        return bool(told.provider_id or (told.polling_url and self.may_poll(told.polling_url)))

    def _retry_after(self, headers: httpx.Headers) -> float | None:
        """Return the seconds of `Retry-After`, within bounds."""
        asked = retry_after_seconds(headers.get("retry-after", ""), time.time())
        return None if asked is None else min(asked, self._longest_pause)

    def _request(
        self, method: str, url: str, payload: Payload | None = None, within: float | None = None
    ) -> tuple[int, httpx.Headers, bytes]:
        began_at = time.monotonic()
        headers = {KEY_HEADER: self._key.reveal(), "accept": "application/json"}
        if payload:
            headers["content-type"] = "application/json"
            headers["content-length"] = str(payload.length)
        seconds = self._timeout if within is None else min(within, self._timeout)
        timeout = httpx.Timeout(seconds, connect=min(_CONNECT_TIMEOUT, seconds))
        content = self._sent(payload, seconds) if payload else None
        over_at = began_at + seconds + (self._send_timeout if payload else 0.0)
        ask = self._client.stream(method, url, content=content, headers=headers, timeout=timeout)
        with self._deadline.ends(over_at), ask as response:
            # The time spent on sending does not count against the answer.
            asked_at = (payload.handed_over_at if payload else None) or began_at
            give_up_at = asked_at + seconds
            try:
                raw = read_body(response, limit=_MAX_ANSWER_BYTES, give_up_at=give_up_at, cut=True)
            except httpx.HTTPError as error:
                if payload and response.is_success:
                    raise _TruncatedAcceptance(_describe(error)) from error
                raise
            # Large members come last: a preview, or the details of an error.
            whole = raw if len(raw) <= _MAX_ANSWER_BYTES else leading_members(raw)
            return response.status_code, response.headers, whole

    def _sent(self, payload: Payload, seconds: float) -> Iterator[bytes]:
        """Yield a request's body; the time limit of the answer starts with its last part."""
        for part in payload:
            if payload.handed_over_at is not None:
                self._deadline.at = payload.handed_over_at + seconds
            yield part


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:LONGEST_QUOTE]
