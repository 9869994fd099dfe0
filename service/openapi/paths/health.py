"""Health and metrics."""

from typing import Final

from core.redis.durability import Durability
from service.openapi.operations import REDIS_AWAY, answer, json_of, operation, problems
from service.openapi.schemas import TEXT, TEXT_OR_NULL, Json, object_of

_TAG: Final = "Health"


def paths() -> Json:
    """Return the endpoints."""
    live = operation(
        "livez",
        _TAG,
        "Is it alive?",
        "Answers while the process runs, whatever else is away.",
        answer("200", "The process runs.", json_of(object_of({"status": {"const": "alive"}}))),
        public=True,
    )
    ready = operation(
        "readyz",
        _TAG,
        "Can it take jobs?",
        "Tells whether jobs can be accepted durably, and what stands in the way of making them. "
        "A degraded deployment accepts jobs, which wait.",
        answer("200", "It takes jobs.", json_of(_readiness())),
        problems(("503", "It takes no jobs: Redis is away, or the process is shutting down.")),
        public=True,
    )
    metrics = operation(
        "metrics",
        _TAG,
        "Show metrics",
        "Metrics of the whole deployment; every process returns the same.",
        answer("200", "Prometheus' text format.", {"text/plain": {}}),
        problems(REDIS_AWAY),
        public=True,
    )
    return {"/livez": {"get": live}, "/readyz": {"get": ready}, "/metrics": {"get": metrics}}


def _readiness() -> Json:
    account = object_of(
        {
            **dict.fromkeys(("refused", "paused", "paused_until"), TEXT_OR_NULL),
            "ceiling": {"type": ["integer", "null"]},
            **dict.fromkeys(("ceiling_until", "credits"), TEXT_OR_NULL),
        }
    )
    return object_of(
        {
            "status": {"enum": ["ready", "degraded"]},
            "redis": TEXT,
            "durability": {"enum": list(Durability)},
            **dict.fromkeys(("storage", "bucket"), TEXT),
            "bucket_age_seconds": {"type": ["integer", "null"]},
            "proxy": TEXT,
            "accounts": {"type": "object", "additionalProperties": account},
        }
    )
