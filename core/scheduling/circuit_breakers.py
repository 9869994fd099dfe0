"""Circuit breakers for the provider (per account, and per limit of models) and the bucket.

After repeated failures a breaker opens and no job is started for a while; then one job at a time
checks whether the dependency is back. State is in Redis and shared by all processes. A job is
granted a slot only if both breakers admit it: an image generated while the bucket is down may
expire before it is stored, and is paid for. The mechanism is in `core/redis/lua/base.lua`, where
slots are granted.
"""

from typing import Any, Final

from core.settings.settings import Settings

#: Opens while images cannot be stored.
STORAGE: Final = "storage"
#: Consecutive failures that open each breaker; for the bucket, of as many different images. A
#: bucket may reject single requests under load (S3 error responses: SlowDown) or single images; a
#: provider that does not answer one request will not answer the next.
_OPENS_AFTER: Final = {"provider": 1, STORAGE: 3}
#: Seconds without a failure after which a breaker is reset.
_FORGET: Final = 3600


def provider(pool: str | None, limit: str | None = None) -> str:
    """Return the name of the breaker of an account's host, or of one of the account's limits.

    Args:
        pool: The account's name.
        limit: The model after which the limit is named.
    """
    return f"provider:{pool or ''}" + (f":{limit}" if limit else "")


def opens_after(name: str) -> int:
    """Return how many consecutive failures open a breaker."""
    return _OPENS_AFTER[name.partition(":")[0]]


def rules(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the limits per kind of breaker, as the scripts read them; durations in seconds."""
    longest = settings.retry_max_seconds
    rests = {
        "provider": {"base": settings.retry_base_seconds, "longest": longest},
        # Longer than the delay between two attempts to store an image, and held open as long as one
        # waits; but a single image may be a special case.
        STORAGE: {"base": 2 * longest, "longest": 2 * longest, "hold": 10 * longest},
    }
    return {
        kind: {
            "after": after,
            # After this time, a trial without outcome counts as over.
            "trying": settings.watch_seconds,
            "forget": _FORGET,
            **rests[kind],
        }
        for kind, after in _OPENS_AFTER.items()
    }
