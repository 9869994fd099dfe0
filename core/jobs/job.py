"""The job record; no I/O and no clock in here. Its statuses are in `core.jobs.status`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NewType

from core.jobs.status import TERMINAL, CallbackState, Status

JobId = NewType("JobId", str)
#: Writes JSON as short as it can be.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What the caller asked for; never changes after intake."""

    tenant: str
    model: str
    #: The provider's parameters as the caller sent them, but for `input_keys`.
    input: Mapping[str, Any]
    #: Parameter -> S3 key of the bytes that came as base64; they are not in `input`.
    input_keys: Mapping[str, str] = field(default_factory=dict)
    callback_url: str | None = None
    #: Where a client of the provider's own API sent it (`https://host`), which gets its webhook
    #: in the provider's shape; None: it came as `POST /v1/jobs`.
    origin: str | None = None
    #: What that client wants to see in its webhook's `X-Webhook-Secret`; shown nowhere else.
    client_secret: str | None = field(default=None, repr=False)
    #: Key (or key template) asked for by the caller; None: the deployment's template.
    output_key: str | None = None
    #: The region it must be made in; None: any.
    region: str | None = None
    #: -100 to 100; higher goes first.
    priority: int = 0
    #: Have a result that died before it was stored made again, once, which is paid for again.
    regenerate: bool = False
    #: Submits that may be repeated after a doubt, which may be paid for; None: as the settings say.
    max_resubmits: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: The failed job that is sent again as this one.
    retry_of: JobId | None = None
    created_at: float  # Unix time in seconds
    deadline_at: float  # Unix time in seconds

    def to_json(self) -> str:
        """Return the request as it stands in Redis; optional fields that are empty take no room."""
        return _encode(
            {
                name: value
                for name in self.__slots__
                # A model may be asked without any parameter, or with an image alone.
                if (value := getattr(self, name))
                or value not in (None, {}, 0)
                or name == "input"
                or (name == "max_resubmits" and value == 0)
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "JobRequest":
        """Read back what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as read from Redis; `core.redis.store` is the only place that changes it."""

    id: JobId
    status: Status
    request: JobRequest
    #: (status, Unix time in seconds), oldest first.
    timeline: tuple[tuple[Status, float], ...]
    #: Name of the pool, which is an account, whose slot it holds or held.
    pool: str | None = None
    #: Unix time at which a worker was about to post it; None: nobody did since the grant.
    posting_at: float | None = None
    #: Which run of the submit step wrote `posting_at`.
    posting_by: str | None = None
    #: Why nobody knows whether the provider has the job, and until when a word of it is waited
    #: for; None: nobody looked into that, or it is known.
    doubt_reason: str | None = None
    doubt_until: float | None = None
    #: It is known that the provider took the job, but not as which task.
    taken: bool = False
    submits: int = 0
    #: Submits made although an earlier one may have been paid for.
    resubmits: int = 0
    #: 1 where the result died before it was stored and was made again.
    regenerations: int = 0
    #: That earlier task's id at the provider, and what it cost in credits.
    expired_id: str | None = None
    expired_cost: float | None = None
    #: Step -> how often it was put off since it was started first.
    tries: Mapping[str, int] = field(default_factory=dict)
    provider_id: str | None = None
    polling_url: str | None = None
    #: Unix time since which the provider says only what names no result; None: it does not.
    unusable_since: float | None = None
    #: Credits, as the provider told; None where it did not.
    cost: float | None = None
    input_megapixels: float | None = None
    output_megapixels: float | None = None
    result_url: str | None = None
    result_expires_at: float | None = None  # Unix time in seconds
    #: What S3 said, where it was S3 that the last try to store the image failed at.
    storage_trouble: str | None = None
    #: Unix time from which the provider may be asked for a better link again.
    ask_at: float | None = None
    #: What storing waits for: `for`, `since` (Unix time), `last_problem`; see `core.jobs.views`.
    waiting: Mapping[str, Any] | None = None
    seed: int | None = None
    #: Seconds that the result's URL had left when the image was stored.
    margin: float | None = None
    image: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    callback_state: CallbackState = CallbackState.NONE
    callback_attempts: int = 0
    #: The newest attempts: at, status or error.
    callback_log: tuple[Mapping[str, Any], ...] = ()
    #: Unix time at which the callback was to be sent again, and the attempts made before.
    callback_from: float | None = None
    callback_before: int = 0
    #: The job that this one, which failed, was sent again as.
    retried_as: JobId | None = None

    @property
    def ended_at(self) -> float | None:
        """Unix time in seconds at which the job reached a terminal status, None before."""
        return self.timeline[-1][1] if self.status in TERMINAL else None

    @classmethod
    def from_fields(cls, job_id: JobId, fields: Mapping[str, str]) -> "Job":
        """Read a record's hash fields; the inverse of what `core.redis.store` writes."""

        def number(name: str) -> float | None:
            return float(fields[name]) if fields.get(name) else None

        request = JobRequest.from_json(fields["request"])
        seed = fields.get("seed")
        return cls(
            id=job_id,
            status=Status(fields["status"]),
            request=request,
            timeline=read_timeline(fields["timeline"]),
            pool=fields.get("pool"),
            posting_at=number("posting_at"),
            posting_by=fields.get("posting_by") or None,
            submits=int(fields.get("submits", 0)),
            resubmits=int(fields.get("resubmits", 0)),
            regenerations=int(fields.get("regenerations", 0)),
            expired_id=fields.get("expired_id"),
            expired_cost=number("expired_cost"),
            tries={n[6:]: int(count) for n, count in fields.items() if n.startswith("tries:")},
            provider_id=fields.get("provider_id"),
            polling_url=fields.get("polling_url"),
            unusable_since=number("unusable_since"),
            cost=number("cost"),
            input_megapixels=number("input_megapixels"),
            output_megapixels=number("output_megapixels"),
            result_url=fields.get("result_url"),
            result_expires_at=number("result_expires_at"),
            storage_trouble=fields.get("storage_trouble"),
            ask_at=number("ask_at"),
            waiting=json.loads(fields["waiting"]) if "waiting" in fields else None,
            seed=int(seed) if seed else None,
            margin=number("margin"),
            image=json.loads(fields["image"]) if "image" in fields else None,
            error=json.loads(fields["error"]) if "error" in fields else None,
            **_doubt_of(fields),
            **_callback_of(fields),
            retried_as=JobId(fields["retried_as"]) if "retried_as" in fields else None,
        )


def read_timeline(text: str) -> tuple[tuple[Status, float], ...]:
    """Read a record's timeline."""
    steps = (entry.split("=") for entry in text.split(";"))
    return tuple((Status(name), float(at)) for name, at in steps)


def _doubt_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return what a record says of a submit whose outcome is not known."""
    until = fields.get("doubt_until")
    return {
        "doubt_reason": fields.get("doubt_reason"),
        "doubt_until": float(until) if until else None,
        "taken": "taken" in fields,
    }


def _callback_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return what a record says of its callback."""
    since = fields.get("callback_from")
    return {
        "callback_state": CallbackState(fields.get("callback_state", CallbackState.NONE)),
        "callback_attempts": int(fields.get("callback_attempts", 0)),
        "callback_log": tuple(json.loads(fields.get("callback_log", "[]"))),
        "callback_from": float(since) if since else None,
        "callback_before": int(fields.get("callback_before", 0)),
    }
