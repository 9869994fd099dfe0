"""Authentication: an API key, compared by hash in constant time, identifies a tenant."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from starlette.requests import HTTPConnection

from service.http.problems import Problem


def tenant_of(request: HTTPConnection[Any], keys: Mapping[str, str]) -> str:
    """Return the tenant whose key came as `Authorization: Bearer …` or `x-key`.

    Args:
        request: The request.
        keys: SHA-256 of a key (hex) -> tenant.

    Raises:
        Problem: 401, for a missing and for a wrong key.
    """
    key = _presented(request)
    if not key:
        detail = "The API key is missing; send it as Authorization: Bearer KEY, or as x-key: KEY"
        raise _unauthorized("missing-key", detail)
    digest = sha256(key).hexdigest().encode()
    tenant = None
    for known, name in keys.items():  # all are compared, so that timing reveals nothing
        if hmac.compare_digest(known.encode(), digest):
            tenant = name
    if tenant is None:
        detail = "The API key is not valid here; check it, or ask the operator for one"
        raise _unauthorized("wrong-key", detail)
    return tenant


def _presented(request: HTTPConnection[Any]) -> bytes:
    """Return the key as bytes, because a header may contain any."""
    headers: dict[bytes, bytes] = dict(request.scope["headers"])
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and key.strip():
        return key.strip()
    return headers.get(b"x-key", b"").strip()


def _unauthorized(kind: str, detail: str) -> Problem:
    headers = {"www-authenticate": 'Bearer realm="fluxrelay"'}
    return Problem(HTTPStatus.UNAUTHORIZED, kind, detail, headers=headers)
