"""Whether a callback is FluxRelay's, by the library of Standard Webhooks."""

from __future__ import annotations

import json
from collections.abc import Mapping

from standardwebhooks.webhooks import Webhook

from fluxrelay.errors import CallbackVerificationError
from fluxrelay.types.callbacks import Callback
from fluxrelay.types.decode import DecodeError


def verify_callback(
    body: bytes | str, headers: Mapping[str, str], secret: str, *more_secrets: str
) -> Callback:
    """Return a callback whose signature matches one of the secrets.

    Args:
        body: the request's body as it came, not parsed.
        headers: the request's headers; their names in any case.
        secret: the secret, as `callbacks.secret()` returns it.
        more_secrets: older ones, while the operator rotates them.

    Raises:
        CallbackVerificationError: It is not from FluxRelay, or older than five minutes.
        ValueError: A secret is none.
    """
    named = {name.lower(): value for name, value in headers.items()}
    reason = ""
    for one in (secret, *more_secrets):
        webhook = _webhook(one)
        try:
            webhook.verify(body, named, json_parse=False)
        except Exception as error:  # noqa: BLE001 - the library lets a forgery raise anything
            reason = str(error) or type(error).__name__
        else:
            return _callback(body, named["webhook-id"])
    raise CallbackVerificationError(f"the callback is not signed by FluxRelay: {reason}")


def _webhook(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except Exception as error:
        raise ValueError("this is no secret of callbacks (whsec_...)") from error


def _callback(body: bytes | str, webhook_id: str) -> Callback:
    try:
        raw = json.loads(body)
        return Callback.decode({**raw, "id": webhook_id})
    except (ValueError, TypeError, DecodeError) as error:
        raise CallbackVerificationError("the callback's body is not FluxRelay's") from error
