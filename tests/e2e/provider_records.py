"""What the provider recorded of a job: the request that it got, and the files that it made."""

import base64
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import httpx

from core.provider.catalogue import MODELS
from stack.stack import Stack

_LONG_TEXT: Final = 100  # characters
_WEBHOOK_FIELDS: Final = {"webhook_url", "webhook_secret"}


def task_of(stack: Stack, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ledger's entry of a job's task."""
    path = f"{stack.sandbox_url}/sandbox/ledger/{job['provider']['id']}"
    task: dict[str, Any] = httpx.get(path, timeout=60, trust_env=False).json()
    return task


def judge_request(
    task: Mapping[str, Any], job: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Assert that the provider got just what was sent, and what its webhook needs."""
    assert task["model"] == job["model"]
    assert set(task["request"]) - _WEBHOOK_FIELDS == set(given)
    assert bool(task["webhook_url"]) == MODELS[job["model"]].webhook
    for name, value in given.items():
        # A file in a field that the provider does not know is kept as it came.
        assert task["request"][name] in (value, _seen(value))


def _seen(value: Any) -> Any:
    """Return a value as the ledger has it, which keeps a file's size and digest only."""
    if isinstance(value, list):
        return [_seen(one) for one in value]
    if not isinstance(value, str) or len(value) < _LONG_TEXT:
        return value
    data = base64.b64decode(value)
    return {"bytes": len(data), "sha256": sha256(data).hexdigest()}
