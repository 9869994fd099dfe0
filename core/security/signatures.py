"""Secrets derived from the master secrets, and the signatures made with them.

Three kinds are derived, separated by a prefix: a secret per job for the provider's webhook, one per
job for the links to its files, and one per tenant for callbacks. A leaked secret therefore exposes
one job or one tenant only, and nothing has to be stored.
"""

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256


def webhook_secret(master: str, job_id: str) -> str:
    """Return the secret that the provider must return with this job's webhook."""
    return hmac.new(master.encode(), f"webhook:{job_id}".encode(), sha256).hexdigest()


def is_webhook_secret(masters: Sequence[str], job_id: str, presented: bytes) -> bool:
    """Return whether `presented` is the job's secret under any of the masters.

    Compares bytes in constant time and checks every master, so that timing reveals nothing.
    """
    return _is_any([webhook_secret(master, job_id) for master in masters], presented)


def sample_signature(master: str, subject: str) -> str:
    """Return the signature of a link to a stored file; anyone with the link may read the file.

    Args:
        master: The master secret.
        subject: The job's id; for another file than its sample, followed by a dot and its role.
    """
    return hmac.new(master.encode(), f"sample:{subject}".encode(), sha256).hexdigest()


def is_sample_signature(masters: Sequence[str], subject: str, presented: bytes) -> bool:
    """Return whether `presented` is the signature under any of the masters, in constant time."""
    return _is_any([sample_signature(master, subject) for master in masters], presented)


def callback_secret(master: str, tenant: str) -> str:
    """Return the tenant's callback secret in Standard Webhooks format."""
    key = hmac.new(master.encode(), f"callback:{tenant}".encode(), sha256).digest()
    return "whsec_" + base64.b64encode(key).decode()


def sign_callback(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` header (Standard Webhooks, "Signature scheme").

    Args:
        secrets: `whsec_…`, newest first; each adds a signature, so that receivers can still use the
            old secret while the master is rotated.
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
