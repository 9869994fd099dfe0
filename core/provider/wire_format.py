"""The provider's wire format: what is sent, and how its answers and webhooks are read.

Its webhook body is documented nowhere, and clients in the field report two shapes, so it is read
generously: `id` or `task_id`, any spelling and case of a status. A webhook is a hint; what it does
not say is asked for with `get_result`.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from core.jobs.failures import FailureCode
from core.provider.sample_links import bounded, link_of, result_of, shape_of

#: Parameters that hold an image as base64 or URL are sent as base64 again.
WEBHOOK_HEADER: Final = "X-Webhook-Secret"
KEY_HEADER: Final = "x-key"
#: Seconds by which two machines' clocks may differ before an expiry is taken for nonsense.
_CLOCK_SKEW: Final = 86_400.0
#: Numbers from here on, and NaN, are taken for nonsense.
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
    UNCLEAR = "unclear"  # a status nobody knows
    UNUSABLE = "unusable"  # ready, but without a URL; or an answer that says nothing of a task


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The provider's answer to an accepted submit; it holds an id, a polling URL, or both."""

    provider_id: str | None
    polling_url: str | None = None
    cost: float | None = None
    input_megapixels: float | None = None
    output_megapixels: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What the provider says of a task, by webhook or when asked."""

    kind: Kind
    status: str
    provider_id: str | None = None
    url: str | None = None
    #: Unix time in seconds at which `url` dies.
    expires_at: float = 0.0
    seed: int | None = None
    cost: float | None = None
    code: FailureCode = FailureCode.PROVIDER_ERROR
    #: Why there is no image: for the caller, so no link is in it.
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
    FailureCode.CONTENT_MODERATED: "The provider's moderation withheld the generated image",
    FailureCode.INVALID_INPUT: "The provider could not use an input",
    FailureCode.PROVIDER_ERROR: "The provider could not generate the image",
}
_NO_LINK: Final = "The provider says that the image is ready, but names no single link to it"


def parse_submission(body: Any) -> Submission | None:
    """Read the answer to a submit (BFL OpenAPI, AsyncResponse and AsyncWebhookResponse).

    Returns:
        None where nothing in it names the task.
    """
    if not isinstance(body, dict):
        return None
    stated = body.get("polling_url")
    url = stated if isinstance(stated, str) and _is_text(stated, _LONGEST_URL) else None
    provider_id = _task_of(body) or (_asked_for(url) if url else None)
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
    """Read an answer of `GET /v1/credits` (BFL OpenAPI, CreditsResponse); None if it is none."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return _number(body.get("credits")) if isinstance(body, dict) else None


def parse_notice(raw: bytes, now: float, lifetime: float) -> Notice:
    """Read a webhook's body or an answer of `get_result` (BFL OpenAPI, ResultResponse).

    Args:
        raw: The body as it came.
        now: Unix time in seconds.
        lifetime: Seconds that a result URL lives where it does not say so itself.

    Raises:
        ValueError: It is not a JSON object.
    """
    try:
        body = json.loads(raw, parse_constant=_nothing, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(body, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - callers handle one kind of error
    status = str(body.get("status") or "")[:100]
    result, url = result_of(body), link_of(body)
    details = body["details"] if isinstance(body.get("details"), dict) else None
    kind, code = _meaning(status, details, has_url=bool(url))
    seed = result.get("seed")
    return Notice(
        kind=kind,
        status=status,
        provider_id=_task_of(body),
        url=url,
        expires_at=_expiry(url, result, now, lifetime) if url else 0.0,
        seed=_seed(seed),
        cost=_number(body.get("cost")),
        code=code,
        message=_message(kind, code, body, details),
        details=bounded(details),
    )


def _task_of(body: Mapping[str, Any]) -> str | None:
    """Return the task's id as text, though the provider writes it as a number; None without one."""
    for name in ("id", "task_id"):
        value = body.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and _is_text(value, _LONGEST_ID):
            return value
    return None


def _asked_for(url: str) -> str | None:
    """Return the id of the task that a polling URL asks for, None where it names none."""
    try:
        stated = parse_qs(urlsplit(url).query).get("id", [""])[0]
    except ValueError:
        return None
    return stated if _is_text(stated, _LONGEST_ID) else None


def _is_text(value: str, longest: int) -> bool:
    """Say whether it holds something, and nothing that cannot be stored or shown."""
    return 0 < len(value) <= longest and value.isprintable()


def _seed(seed: Any) -> int | None:
    """Return a seed that S3's metadata and a second submit can hold."""
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
        return f"{_NO_LINK}; what came as its result was {shape_of(body)}"
    if kind is not Kind.FAILED:
        return ""
    said = (details or {}).get("error") or body.get("error") or body.get("message")
    reasons = (details or {}).get("Moderation Reasons")
    if isinstance(reasons, list) and reasons:
        said = ", ".join(str(reason) for reason in reasons)
    return _MESSAGES[code] + (f": {str(said)[:300]}" if said else "")


def _expiry(url: str, result: Mapping[str, Any], now: float, lifetime: float) -> float:
    """Return when the URL dies: what it says itself (`se=`), else counted from its making."""
    try:
        stated = parse_qs(urlsplit(url).query).get("se", [""])[0]
        moment = datetime.fromisoformat(stated)
        # Without a zone it is UTC all the same (Azure Storage, "Create a service SAS").
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        made = _number(result.get("end_time")) or now
        at = min(made, now) + lifetime
    return at if abs(at - now) < _CLOCK_SKEW else now + lifetime


def _nothing(_constant: str) -> None:
    """Read NaN and Infinity, which are no JSON and could not be shown again, as null."""


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _UNREAL else None
