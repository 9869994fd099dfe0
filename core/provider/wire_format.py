"""The provider's wire format: request headers, and parsing of responses and webhooks.

The webhook body is undocumented and clients report two shapes, so parsing is lenient: `id` or
`task_id`, any spelling and case of a status. A webhook is only a hint; whatever it lacks is fetched
with `get_result`.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from core.jobs.failures import FailureCode
from core.provider.sample_links import bounded, link_of, more_links_of, result_of, shape_of

#: The header in which the provider returns the job's secret.
WEBHOOK_HEADER: Final = "X-Webhook-Secret"
KEY_HEADER: Final = "x-key"
#: Seconds of clock skew beyond which an expiry is considered invalid.
_CLOCK_SKEW: Final = 86_400.0
#: Numbers of this size and NaN are considered invalid.
_UNREAL: Final = 1e15
_LARGEST_SEED: Final = 10**40
_LONGEST_ID: Final = 500  # characters
_LONGEST_URL: Final = 4096  # characters


class Kind(StrEnum):
    """What a notice means for the job."""

    READY = "ready"
    PENDING = "pending"
    FAILED = "failed"
    NOT_FOUND = "not_found"
    UNCLEAR = "unclear"  # an unknown status
    UNUSABLE = "unusable"  # ready without a usable link, or a response about no task


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The response to an accepted submit; it has an id, a polling URL, or both."""

    provider_id: str | None
    polling_url: str | None = None
    cost: float | None = None
    input_megapixels: float | None = None
    output_megapixels: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The provider's information about a task, from a webhook or a poll."""

    kind: Kind
    status: str
    provider_id: str | None = None
    #: Link to the image or video.
    url: str | None = None
    #: Role -> link to a further file of the result.
    more_urls: Mapping[str, str] = field(default_factory=dict)
    #: Unix time in seconds at which the first of these links expires.
    expires_at: float = 0.0
    #: Unix time in seconds at which the result was made, if `url` does not say when it expires.
    made_at: float | None = None
    seed: int | None = None
    cost: float | None = None
    code: FailureCode = FailureCode.PROVIDER_ERROR
    #: Why there is no image, for the caller; contains no link.
    message: str = ""
    details: Mapping[str, Any] | None = None


_READY: Final = {"ready", "success", "succeeded", "completed", "complete", "done"}
_PENDING: Final = {
    "pending", "reasoning", "generating", "processing", "queued", "running", "inprogress",
    "started", "submitted",
}  # fmt: skip
_FAILED: Final = {"error", "failed", "failure", "internalerror"}
_NOT_FOUND: Final = {"tasknotfound", "notfound"}

_MESSAGES: Final = {
    FailureCode.REQUEST_MODERATED: "The provider's moderation refused the prompt or an input image",
    FailureCode.CONTENT_MODERATED: "The provider's moderation withheld the generated result",
    FailureCode.INVALID_INPUT: "The provider could not use an input",
    FailureCode.PROVIDER_ERROR: "The provider could not generate the result",
}
_NO_LINK: Final = "The provider reports the task as ready, but gives no single link to its result"


def parse_submission(body: Any) -> Submission | None:
    """Parse the response to a submit (BFL OpenAPI, AsyncResponse and AsyncWebhookResponse).

    Returns:
        None if nothing in it identifies the task.
    """
    if not isinstance(body, dict):
        return None
    stated = body.get("polling_url")
    url = stated if isinstance(stated, str) and _is_text(stated, _LONGEST_URL) else None
    provider_id = _task_of(body) or (_task_id_in(url) if url else None)
    if not provider_id and not url:
        return None
    return Submission(
        provider_id=provider_id,
        polling_url=url,
        cost=_number(body.get("cost")),
        input_megapixels=_number(body.get("input_mp")),
        output_megapixels=_number(body.get("output_mp")),
    )


def parse_credits(raw: bytes) -> float | None:
    """Parse the response of `GET /v1/credits` (BFL OpenAPI, CreditsResponse); None if invalid."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return _number(body.get("credits")) if isinstance(body, dict) else None


def parse_notice(raw: bytes, now: float, lifetime: float) -> Notice:
    """Parse a webhook body or a `get_result` response (BFL OpenAPI, ResultResponse).

    Args:
        raw: The raw body.
        now: Current Unix time in seconds.
        lifetime: Seconds until a result URL expires, if it does not state its expiry.

    Raises:
        ValueError: The body is not a JSON object.
    """
    try:
        body = json.loads(raw, parse_constant=_nothing, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - callers handle one exception type
    status = str(body.get("status") or "")[:100]
    result, url = result_of(body), link_of(body)
    more = more_links_of(body) if url else {}
    details = body["details"] if isinstance(body.get("details"), dict) else None
    kind, code = _meaning(status, details, has_url=bool(url))
    made = _made_at(result, now)
    stated = _first_expiry([url or "", *more.values()], now)
    seed = result.get("seed")
    return Notice(
        kind=kind,
        status=status,
        provider_id=_task_of(body),
        url=url,
        more_urls=more,
        expires_at=(stated or made + lifetime) if url else 0.0,
        made_at=made if url and stated is None else None,
        seed=_seed(seed),
        cost=_number(body.get("cost")),
        code=code,
        message=_message(kind, code, body, details),
        details=bounded(details),
    )


def _task_of(body: Mapping[str, Any]) -> str | None:
    """Return the task id as text, even if it came as a number; None if there is none."""
    for name in ("id", "task_id"):
        value = body.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and _is_text(value, _LONGEST_ID):
            return value
    return None


def _task_id_in(url: str) -> str | None:
    """Return the task id in a polling URL; None if there is none."""
    try:
        stated = parse_qs(urlsplit(url).query).get("id", [""])[0]
    except ValueError:
        return None
    return stated if _is_text(stated, _LONGEST_ID) else None


def _is_text(value: str, longest: int) -> bool:
    """Return whether a text is non-empty, printable and short enough to store."""
    return 0 < len(value) <= longest and value.isprintable()


def _seed(seed: Any) -> int | None:
    """Return a seed that fits S3 metadata and a second submit; None otherwise."""
    fits = isinstance(seed, int) and not isinstance(seed, bool) and abs(seed) < _LARGEST_SEED
    return seed if fits else None


def _meaning(
    status: str, details: Mapping[str, Any] | None, *, has_url: bool
) -> tuple[Kind, FailureCode]:
    word = re.sub(r"[^a-z]", "", status.lower())
    code = FailureCode.PROVIDER_ERROR
    if word in _READY:
        return (Kind.READY if has_url else Kind.UNUSABLE), code
    if word in _PENDING:
        return Kind.PENDING, code
    if word in _NOT_FOUND:
        return Kind.NOT_FOUND, code
    if "moderat" in word:
        request = "request" in word or "input" in word
        code = FailureCode.REQUEST_MODERATED if request else FailureCode.CONTENT_MODERATED
        return Kind.FAILED, code
    if word in _FAILED:
        said = str((details or {}).get("error", "")).lower()
        return Kind.FAILED, FailureCode.INVALID_INPUT if "input" in said else code
    return Kind.UNCLEAR, code


def _message(
    kind: Kind, code: FailureCode, body: Mapping[str, Any], details: Mapping[str, Any] | None
) -> str:
    if kind is Kind.UNUSABLE:
        return f"{_NO_LINK}; its result was {shape_of(body)}"
    if kind is not Kind.FAILED:
        return ""
    said = (details or {}).get("error") or body.get("error") or body.get("message")
    reasons = (details or {}).get("Moderation Reasons")
    if isinstance(reasons, list) and reasons:
        said = ", ".join(str(reason) for reason in reasons)
    return _MESSAGES[code] + (f": {str(said)[:300]}" if said else "")


def _made_at(result: Mapping[str, Any], now: float) -> float:
    """Return when the result was made; now, if it does not say so."""
    made = _number(result.get("end_time")) or now
    return min(made, now) if abs(made - now) < _CLOCK_SKEW else now


def _first_expiry(urls: Sequence[str], now: float) -> float | None:
    """Return when the first of these links expires; None if none says when."""
    stated = [at for url in urls if (at := _stated_expiry(url, now)) is not None]
    return min(stated, default=None)


def _stated_expiry(url: str, now: float) -> float | None:
    """Return when the URL expires as it says itself (`se=`)."""
    try:
        stated = parse_qs(urlsplit(url).query).get("se", [""])[0]
        moment = datetime.fromisoformat(stated)
        # Without a time zone it is UTC (Azure Storage, "Create a service SAS").
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        return None
    return at if abs(at - now) < _CLOCK_SKEW else None


def _nothing(_constant: str) -> None:
    """Parse NaN and Infinity as null: they are not JSON and could not be returned to callers."""


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _UNREAL else None
