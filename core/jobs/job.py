"""The job record; no I/O, no clock. Its statuses are in `core.jobs.status`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NewType

from core.jobs.status import TERMINAL, CallbackState, Status

JobId = NewType("JobId", str)
#: The role of a result's first file: the image or video itself.
SAMPLE: Final = "sample"
#: Encodes compact JSON.
_encode: Final = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What the caller asked for; immutable after intake."""

    tenant: str
    model: str
    #: The provider's parameters, without files that came as base64; in an array, null stands for
    #: each.
    input: Mapping[str, Any]
    #: S3 keys of these files, by their places (`core.jobs.input_places`).
    input_keys: Mapping[str, str] = field(default_factory=dict)
    callback_url: str | None = None
    #: Types of the events that the callback tells, `core.jobs.callback_events`; empty: the ends.
    callback_events: Sequence[str] = ()
    #: Origin (`https://host`) at which a drop-in client sent the job; its webhook has the
    #: provider's format. None: the job came as `POST /v1/jobs`.
    origin: str | None = None
    #: Secret that this client expects in `X-Webhook-Secret`; never shown elsewhere.
    client_secret: str | None = field(default=None, repr=False)
    #: Object key (or key template) requested by the caller; None: the deployment's template.
    output_key: str | None = None
    #: The region that must process it; None: any.
    region: str | None = None
    #: -100 to 100; higher runs first.
    priority: int = 0
    #: Whether to regenerate an image, once, if its link expires before it is stored; costs credits
    #: again.
    regenerate: bool = False
    #: Most resubmits after doubtful submits, each possibly paid twice; None: as configured.
    max_resubmits: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: The failed job that this job retries.
    retry_of: JobId | None = None
    #: The batch that it is an item of, and the caller's name for the item.
    batch: str | None = None
    custom_id: str | None = None
    #: Whether it waits behind single jobs of its priority.
    behind: bool = False
    created_at: float  # Unix time in seconds
    deadline_at: float  # Unix time in seconds

    def to_json(self) -> str:
        """Serialize the request for Redis; empty optional fields are omitted."""
        return _encode(
            {
                name: value
                for name in self.__slots__
                # `input` is kept even if empty: a model may take no parameter, or an image alone.
                if (value := getattr(self, name))
                or value not in (None, {}, 0, ())
                or name == "input"
                or (name == "max_resubmits" and value == 0)
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "JobRequest":
        """Parse what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**fields | {"callback_events": tuple(fields.get("callback_events", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as read from Redis; only `core.redis.store` changes it."""

    id: JobId
    status: Status
    request: JobRequest
    #: (status, Unix time in seconds), oldest first.
    timeline: tuple[tuple[Status, float], ...]
    #: Name of the pool (an account) whose slot it holds or held.
    pool: str | None = None
    #: When a worker was about to post it (Unix time); None: not since the slot was granted.
    posting_at: float | None = None
    #: Id of the submit run that wrote `posting_at`.
    posting_by: str | None = None
    #: A submit in doubt: why its outcome is unknown, and until when to wait for news.
    doubt_reason: str | None = None
    doubt_until: float | None = None
    #: The provider accepted the job, but its task id is unknown.
    taken: bool = False
    submits: int = 0
    #: Submits repeated although an earlier one may have been paid for.
    resubmits: int = 0
    #: 1 if the result link expired before the image was stored and it was regenerated.
    regenerations: int = 0
    #: Provider id and cost in credits of the task whose link expired.
    expired_id: str | None = None
    expired_cost: float | None = None
    #: Step -> how often it was delayed since it first started.
    tries: Mapping[str, int] = field(default_factory=dict)
    provider_id: str | None = None
    polling_url: str | None = None
    #: Unix time since which the provider reports success without a usable link; None: it does not.
    unusable_since: float | None = None
    #: Cost in credits as reported by the provider; None if not reported.
    cost: float | None = None
    input_megapixels: float | None = None
    output_megapixels: float | None = None
    #: Link to the sample.
    result_url: str | None = None
    #: Role -> link to a further file of the result.
    more_urls: Mapping[str, str] = field(default_factory=dict)
    #: When the first of these links expires.
    result_expires_at: float | None = None  # Unix time in seconds
    #: Seconds that links to results of its model live; None: as configured for all.
    link_seconds: float | None = None
    #: S3's error, if the last attempt to store the image failed at S3.
    storage_trouble: str | None = None
    #: Unix time from which the provider may be asked for a better link again.
    ask_at: float | None = None
    #: What storing waits for: `for`, `since` (Unix time), `last_problem`; see `core.jobs.views`.
    waiting: Mapping[str, Any] | None = None
    seed: int | None = None
    #: Seconds left on the result link when the result was stored.
    margin: float | None = None
    #: The stored files, the sample first: `role`, `bucket`, `key`, `bytes`, `sha256`,
    #: `content_type`, `provider_id`, and what is known of their content.
    artifacts: tuple[Mapping[str, Any], ...] = ()
    error: Mapping[str, Any] | None = None
    callback_state: CallbackState = CallbackState.NONE
    callback_attempts: int = 0
    #: The newest attempts: `at`, `status` or `error`.
    callback_log: tuple[Mapping[str, Any], ...] = ()
    #: Unix time at which a resend of the callback was requested, and the attempts made before.
    callback_from: float | None = None
    callback_before: int = 0
    #: How often that was.
    callback_resends: int = 0
    #: The job that retries this failed one.
    retried_as: JobId | None = None
    #: The job ended before its task: where the task is (`submitting` or `generating`). The slot is
    #: held until the task has ended as well. None: it has, or there was none.
    discarding: Status | None = None
    #: Whether what its task makes, or made, is discarded.
    discarded: bool = False

    @property
    def task_status(self) -> Status:
        """Return where its task is; the status, unless the job ended before its task."""
        return self.discarding or self.status

    @property
    def ended_at(self) -> float | None:
        """Unix time in seconds at which the job reached a terminal status; None before."""
        return self.timeline[-1][1] if self.status in TERMINAL else None

    @property
    def image(self) -> dict[str, Any] | None:
        """The stored sample without its role; None if it is no image, or nothing is stored."""
        sample = dict(self.artifacts[0]) if self.artifacts else {}
        is_image = str(sample.get("content_type", "")).startswith("image/")
        return {name: sample[name] for name in sample if name != "role"} if is_image else None

    @classmethod
    def from_fields(cls, job_id: JobId, fields: Mapping[str, str]) -> "Job":
        """Parse a record's hash fields; the inverse of what `core.redis.store` writes."""

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
            more_urls=json.loads(fields.get("more_urls") or "{}"),
            result_expires_at=number("result_expires_at"),
            link_seconds=number("link_seconds"),
            storage_trouble=fields.get("storage_trouble"),
            ask_at=number("ask_at"),
            waiting=json.loads(fields["waiting"]) if "waiting" in fields else None,
            seed=int(seed) if seed else None,
            margin=number("margin"),
            artifacts=_artifacts_of(fields),
            error=json.loads(fields["error"]) if "error" in fields else None,
            **_doubt_of(fields),
            **_callback_of(fields),
            **_later_of(fields),
        )


def read_timeline(text: str) -> tuple[tuple[Status, float], ...]:
    """Parse a record's timeline."""
    steps = (entry.split("=") for entry in text.split(";"))
    return tuple((Status(name), float(at)) for name, at in steps)


def artifact_fields(artifacts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the record's fields about stored files.

    An image alone is recorded as such, which is shorter, and what earlier versions read.
    """
    sample = {name: value for name, value in artifacts[0].items() if name != "role"}
    if len(artifacts) == 1 and str(sample["content_type"]).startswith("image/"):
        return {"image": json.dumps(sample)}
    return {"artifacts": json.dumps(list(artifacts))}


def _artifacts_of(fields: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    """Return what `artifact_fields` was given."""
    if "artifacts" in fields:
        return tuple(json.loads(fields["artifacts"]))
    return ({"role": SAMPLE, **json.loads(fields["image"])},) if "image" in fields else ()


def _doubt_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a record's fields about a submit in doubt."""
    until = fields.get("doubt_until")
    return {
        "doubt_reason": fields.get("doubt_reason"),
        "doubt_until": float(until) if until else None,
        "taken": "taken" in fields,
    }


def _later_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a record's fields about what comes after the job's end."""
    return {
        "retried_as": JobId(fields["retried_as"]) if "retried_as" in fields else None,
        "discarding": Status(fields["discarding"]) if "discarding" in fields else None,
        "discarded": "discarded" in fields,
    }


def _callback_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a record's callback fields."""
    since = fields.get("callback_from")
    return {
        "callback_state": CallbackState(fields.get("callback_state", CallbackState.NONE)),
        "callback_attempts": int(fields.get("callback_attempts", 0)),
        "callback_log": tuple(json.loads(fields.get("callback_log", "[]"))),
        "callback_from": float(since) if since else None,
        "callback_before": int(fields.get("callback_before", 0)),
        "callback_resends": int(fields.get("callback_resends", 0)),
    }
