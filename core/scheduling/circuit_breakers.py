"""Circuit breakers: what fails again and again is left alone for a while, then tried with one job.

The provider (per account) and the bucket have one each, in Redis, for all processes together. A
job is granted a slot only if both admit it: a submit to a provider that is away costs nothing but
noise, but an image made while the bucket is away may die before it is stored, and is paid for.
The mechanism is in `core/redis/lua/prelude.lua`, where slots are granted.
"""

from typing import Any, Final

from core.settings.settings import Settings

#: Nothing is made while images cannot be stored.
STORAGE: Final = "storage"
#: Failures in a row that open each breaker; at the bucket, of as many different images. A bucket
#: may refuse single requests under load (S3 error responses: SlowDown), or single images; a
#: provider that does not answer will not answer the next one.
_OPENS_AFTER: Final = {"provider": 1, STORAGE: 3}
#: Seconds after which a breaker that nobody asked is forgotten.
_FORGET: Final = 3600


def provider(pool: str | None) -> str:
    """Return the name of the breaker of an account's host."""
    return f"provider:{pool or ''}"


def opens_after(name: str) -> int:
    """Return how many failures in a row open a breaker."""
    return _OPENS_AFTER[name.partition(":")[0]]


def rules(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return, per kind of breaker, its bounds as the scripts read them; durations in seconds."""
    longest = settings.retry_max_seconds
    rests = {
        "provider": {"base": settings.retry_base_seconds, "longest": longest},
        # Longer than between two tries of an image that waits, for as long as one does; but one
        # such image may be a case of its own.
        STORAGE: {"base": 2 * longest, "longest": 2 * longest, "hold": 10 * longest},
    }
    return {
        kind: {
            "after": after,
            # A try that was heard of no more is over by then.
            "trying": settings.watch_seconds,
            "forget": _FORGET,
            **rests[kind],
        }
        for kind, after in _OPENS_AFTER.items()
    }
