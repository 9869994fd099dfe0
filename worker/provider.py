"""The one client of the provider's API. Only this and `worker.egress` know httpx."""

import contextlib
import json
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

from core.bfl import (
    KEY_HEADER,
    Kind,
    Notice,
    parse_credits,
    parse_notice,
    parse_submission,
)
from core.errors import Transient
from core.job import FailureCode
from core.parsing import Secret
from core.partial_json import leading_members
from worker.egress import open_client, read_body
from worker.outcomes import (
    Accepted,
    AccountRefused,
    Busy,
    InDoubt,
    NotSent,
    Outcome,
    Rejected,
)
from worker.payload import Payload, Source

_CONNECT_TIMEOUT: Final = 5.0  # seconds
_LARGEST_ANSWER: Final = 16 * 1024 * 1024  # bytes; previews may come inline
#: Besides 5xx, these say nothing of a task either, but may be over when it is asked for again.
_MAY_PASS: Final = (401, 402, 403, 408, 425, 429)
_LONGEST_QUOTE: Final = 500  # characters of the provider's words that are passed on
#: A slip in one header must not stop the account, or a job, for longer.
_LONGEST_RETRY_AFTER: Final = 3600.0  # seconds


class ProviderClient:
    """Submits tasks and asks for results.

    Args:
        base_url: The account's API host.
        key: The account's API key; sent to the provider's hosts only.
        timeout: Seconds for the answer to a request.
        send_timeout: Seconds for sending a submit's images, where it is longer than `timeout`.
        lifetime: Seconds that a result URL lives where it does not say so.
        connections: How many requests may run at a time.
        ssl_context: Made once per process.
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
    ) -> None:
        self._base_url = base_url
        self._key = key
        self._timeout = timeout
        self._send_timeout = max(timeout, send_timeout)
        self._lifetime = lifetime
        self._client = open_client(
            timeout=httpx.Timeout(timeout, connect=min(_CONNECT_TIMEOUT, timeout)),
            connections=connections,
            ssl_context=ssl_context,
        )

    def submit(
        self, path: str, body: Mapping[str, Any], images: Mapping[str, Source] | None = None
    ) -> Outcome:
        """Post one task, exactly once, and say what came of it.

        A request whose last part was never handed over cannot have been accepted: it is shorter
        than its stated length (RFC 9112 section 8: incomplete), and what there is of it is no
        JSON. So no failure before that leaves a doubt, be it ours, or an answer to half a request.

        Args:
            path: The model's endpoint.
            body: Its parameters and webhook fields.
            images: What goes in as base64, by field; read while it is sent.

        Raises:
            Transient: An image could not be read now, or took too long; nothing was accepted.
            Permanent: An image is gone; nothing was accepted.
        """
        payload = Payload(body, images or {}, seconds=self._send_timeout)
        try:
            status, headers, raw = self._request("POST", self._base_url + path, payload)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return NotSent(_words(error))
        except httpx.HTTPError as error:
            outcome: Outcome = InDoubt(_words(error))
        else:
            outcome = _classify(status, headers, raw)
        if isinstance(outcome, InDoubt) and payload.handed_over_at is None:
            return NotSent(f"{outcome.message}, before all was sent")
        return outcome

    def credits(self) -> float | AccountRefused:
        """Ask for the account's credits (BFL OpenAPI, GET /v1/credits).

        Raises:
            Transient: No answer that tells anything came.
        """
        try:
            status, headers, raw = self._request("GET", f"{self._base_url}/v1/credits", None)
        except httpx.HTTPError as error:
            raise Transient(f"credits: {_words(error)}") from error
        if status == httpx.codes.OK and (left := parse_credits(raw)) is not None:
            return left
        outcome = _classify(status, headers, raw)
        if isinstance(outcome, AccountRefused):
            return outcome
        raise Transient(f"credits answered {status}", retry_after=_retry_after(headers))

    def result_url(self, provider_id: str, base_url: str | None = None) -> str:
        """Return where to ask for a task's result (BFL OpenAPI, GET /v1/get_result)."""
        return f"{base_url or self._base_url}/v1/get_result?id={quote(provider_id, safe='')}"

    def result(self, url: str) -> Notice:
        """Ask once for a task's result.

        A 404 is a notice too, and so is an answer of another status that holds a task (the
        provider has been seen to send a failed one with 422). One that holds none, and that will
        be no other when it is asked for again (a redirect, a page), is `UNUSABLE`.

        Raises:
            Transient: No notice came, which may pass.
        """
        try:
            status, headers, raw = self._request("GET", url, None)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Transient(f"get_result: {_words(error)}") from error
        with contextlib.suppress(ValueError):
            notice = parse_notice(raw, time.time(), self._lifetime)
            if notice.status and (notice.provider_id or status == httpx.codes.OK):
                return notice
        if status == httpx.codes.NOT_FOUND:
            return Notice(kind=Kind.NOT_FOUND, status="Task not found")
        said = f"get_result answered {status}"
        if status in _MAY_PASS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Transient(said, retry_after=_retry_after(headers))
        message = f"The provider says nothing of the task: {said}"
        return Notice(kind=Kind.UNUSABLE, status="", message=message)

    def _request(
        self, method: str, url: str, payload: Payload | None
    ) -> tuple[int, httpx.Headers, bytes]:
        began_at = time.monotonic()
        headers = {KEY_HEADER: self._key.reveal(), "accept": "application/json"}
        if payload:
            headers["content-type"] = "application/json"
            headers["content-length"] = str(payload.length)
        with self._client.stream(method, url, content=payload, headers=headers) as response:
            # How long the request took to send is no fault of the answer's.
            asked_at = (payload.handed_over_at if payload else None) or began_at
            give_up_at = asked_at + self._timeout
            raw = read_body(response, limit=_LARGEST_ANSWER, give_up_at=give_up_at, cut=True)
            # What is large comes last: a preview, or the details of an error.
            whole = raw if len(raw) <= _LARGEST_ANSWER else leading_members(raw)
            return response.status_code, response.headers, whole


def _classify(status: int, headers: httpx.Headers, raw: bytes) -> Outcome:
    """Say what an answer to a submit means (BFL API guide, errors)."""
    try:
        answer = json.loads(raw)
    except ValueError:
        answer = None
    detail = answer.get("detail") if isinstance(answer, dict) else None
    if httpx.codes.is_success(status):
        submission = parse_submission(answer)
        return Accepted(submission) if submission else InDoubt("an answer without a task id")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Busy(_retry_after(headers))
    bad_key = isinstance(detail, str) and "api key" in detail.lower()
    if status in (401, 402, 403) or (status == httpx.codes.UNPROCESSABLE_ENTITY and bad_key):
        return AccountRefused(f"{status} {_quoted(detail)}".strip())
    if status == httpx.codes.REQUEST_TIMEOUT or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        # The task may have been made, and billed, before something broke.
        return InDoubt(f"the provider answered {status}")
    message = f"The provider refused the job with {status}: {_quoted(detail)}"
    return Rejected(FailureCode.PROVIDER_REJECTED, message)


def _quoted(detail: Any) -> str:
    """Return the provider's words, shortened, without the caller's own input in them."""
    if isinstance(detail, list):
        parts = (
            f"{'.'.join(str(place) for place in item.get('loc', []))}: {item.get('msg', '')}"
            for item in detail
            if isinstance(item, dict)
        )
        return "; ".join(parts)[:_LONGEST_QUOTE]
    return str(detail or "no reason given")[:_LONGEST_QUOTE]


def _retry_after(headers: httpx.Headers) -> float | None:
    """Read `Retry-After` in seconds (RFC 9110 section 10.2.3); a date is not honoured."""
    stated = headers.get("retry-after", "").strip()
    if not stated.isascii() or not stated.isdigit():
        return None
    return min(float(stated), _LONGEST_RETRY_AFTER)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_QUOTE]
