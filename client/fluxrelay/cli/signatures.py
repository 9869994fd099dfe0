"""Why a callback's signature is right or wrong, in words."""

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Final

from standardwebhooks.webhooks import Webhook

from fluxrelay.cli.exits import wrong

HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
_TOLERANCE_SECONDS: Final = 300


def fault(
    body: bytes, headers: Mapping[str, str], secrets: Iterable[str], now: float | None
) -> str | None:
    """Return what is wrong with a callback's signature; None: it is right.

    Args:
        body: The body as it came.
        headers: Its headers, their names in lower case.
        secrets: The secrets of which one must have signed it.
        now: Unix time; None: its age is no fault.

    Raises:
        CommandFailed: A secret is none.
    """
    if missing := [name for name in HEADERS if not headers.get(name)]:
        return f"there is no header {missing[0]}"
    stamp = headers["webhook-timestamp"]
    if not (stamp.isascii() and stamp.isdigit()):
        return "webhook-timestamp is no Unix time in seconds"
    known = list(secrets)
    if not _is_signed(body, headers, known):
        if body.endswith(b"\n") and _is_signed(body.rstrip(b"\r\n"), headers, known):
            return "the body has a line end that was not signed; save it without"
        return "no signature matches: another secret signed it, or the body was changed"
    if now is not None and abs(now - int(stamp)) > _TOLERANCE_SECONDS:
        return f"it is {age(int(stamp), now)}; receivers take five minutes at most"
    return None


def age(stamp: int, now: float) -> str:
    """Return how old something is, in words."""
    seconds = abs(now - stamp)
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            text = f"{seconds / size:.0f} {unit}"
            break
    else:
        text = f"{seconds:.0f} seconds"
    return f"{text} old" if now >= stamp else f"from {text} in the future"


def _is_signed(body: bytes, headers: Mapping[str, str], secrets: Iterable[str]) -> bool:
    try:
        text = body.decode()
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), timezone.utc)
    except (UnicodeDecodeError, ValueError, OverflowError, OSError):
        return False
    given = [one.encode() for one in headers["webhook-signature"].split()]
    matches = False
    for secret in secrets:
        try:
            right = Webhook(secret).sign(headers["webhook-id"], at, text).encode()
        except Exception:  # noqa: BLE001 - the library's own are many
            raise wrong("The callback secret is none (whsec_...).") from None
        matches |= any(hmac.compare_digest(right, one) for one in given)
    return matches
