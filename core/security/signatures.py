"""Secrets derived from the master secrets, and what is signed and checked with them.

Three kinds are derived, kept apart by a prefix: one secret per job for the provider's webhook, one
per job for the link to its image, one per tenant for our callbacks. So one leaked secret opens one
job or one tenant, and nothing has to be stored.
"""

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256


def webhook_secret(master: str, job_id: str) -> str:
    """Return the secret that the provider is asked to send back with this job's webhook."""
    return hmac.new(master.encode(), f"webhook:{job_id}".encode(), sha256).hexdigest()


def is_webhook_secret(masters: Sequence[str], job_id: str, presented: bytes) -> bool:
    """Say whether `presented` is the job's secret under any of the masters.

    Compares bytes in constant time and looks at every master, so that neither the time nor the
    outcome tells a forger which one came close.
    """
    return _is_any([webhook_secret(master, job_id) for master in masters], presented)


def sample_signature(master: str, job_id: str) -> str:
    """Return what a link to the job's image must hold; whoever has the link may read the image."""
    return hmac.new(master.encode(), f"sample:{job_id}".encode(), sha256).hexdigest()


def is_sample_signature(masters: Sequence[str], job_id: str, presented: bytes) -> bool:
    """Say whether `presented` is the signature under any of the masters, in constant time."""
    return _is_any([sample_signature(master, job_id) for master in masters], presented)


def callback_secret(master: str, tenant: str) -> str:
    """Return the tenant's callback secret in the form of the Standard Webhooks specification."""
    key = hmac.new(master.encode(), f"callback:{tenant}".encode(), sha256).digest()
    return "whsec_" + base64.b64encode(key).decode()


def sign_callback(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` header (Standard Webhooks, "Signature scheme").

    Args:
        secrets: `whsec_…`, newest first; each adds a signature, so that a receiver may still hold
            the old one while the master is rotated.
        message_id: The `webhook-id` header.
        timestamp: The `webhook-timestamp` header, Unix time in seconds.
        body: The exact bytes sent.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    keys = (base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets)
    return " ".join(
        "v1," + base64.b64encode(hmac.new(key, signed, sha256).digest()).decode() for key in keys
    )


def _is_any(expected: Sequence[str], presented: bytes) -> bool:
    matches = [hmac.compare_digest(secret.encode(), presented) for secret in expected]
    return any(matches)  # only now, so that each was compared
