"""Result files: signed URLs that expire, and their bytes in bounded memory.

The URLs look like the provider's, which are Azure shared access signatures: `se` is the expiry,
`rsct` the content type, and `sig` signs all parameters.
"""

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import Final
from urllib.parse import quote

#: Version of the signature scheme in the provider's URLs.
SIGNATURE_VERSION: Final = "2024-11-04"
#: The signed parameters in the URL's order.
SIGNED: Final = ("se", "sp", "sv", "sr", "rsct")
#: Bytes of images kept in memory; beyond that the oldest are dropped, and drawn again on request.
MEMORY_BYTES: Final = 256 * 1024 * 1024
#: Bytes of a generated signing key.
KEY_BYTES: Final = 32


class Access(Enum):
    """What a signed URL allows."""

    GRANTED = auto()
    EXPIRED = auto()
    FORGED = auto()


def instant(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def signing_key(chosen: str | None, ledger: Path | None) -> bytes:
    """Return the configured signing key, else the one stored beside the ledger, else a new one.

    Raises:
        OSError: The key beside the ledger cannot be read or written.
    """
    if chosen is not None:
        return chosen.encode()
    if ledger is None:
        return secrets.token_bytes(KEY_BYTES)
    place = ledger.with_name(f"{ledger.name}.key")
    with contextlib.suppress(FileExistsError):
        # Readable by the owner only: the key can sign any URL.
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    return place.read_bytes()


class Signer:
    """Signs and checks result URLs with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def url(
        self, host_url: str, token: str, extension: str, content_type: str, expires_at: float
    ) -> str:
        """Return the URL of a result on a host; it expires at `expires_at` (Unix seconds)."""
        path = f"/results/{token}/sample.{extension}"
        values = (instant(expires_at), "r", SIGNATURE_VERSION, "b", content_type)
        parameters = dict(zip(SIGNED, values, strict=True))
        parameters["sig"] = self._signature(path, parameters)
        query = "&".join(
            f"{name}={quote(value, safe='' if name == 'sig' else '/')}"
            for name, value in parameters.items()
        )
        return f"{host_url}{path}?{query}"

    def check(self, path: str, parameters: Mapping[str, str], now: float) -> Access:
        """Return whether the URL is signed by us and not expired."""
        expected = self._signature(path, parameters)
        given = parameters.get("sig", "")
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            return Access.FORGED
        if now >= datetime.fromisoformat(parameters["se"]).timestamp():
            return Access.EXPIRED
        return Access.GRANTED

    def _signature(self, path: str, parameters: Mapping[str, str]) -> str:
        parts = [path, *(parameters.get(name, "") for name in SIGNED)]
        message = "\n".join(parts).encode("utf-8", "replace")
        return base64.b64encode(hmac.digest(self._secret, message, hashlib.sha256)).decode()


class ImageCache:
    """Cache of the newest images by token, at most `capacity` bytes."""

    def __init__(self, capacity: int = MEMORY_BYTES) -> None:
        self._capacity = capacity
        self._held = 0
        self._files: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def put(self, token: str, data: bytes, expires_at: float) -> None:
        """Keep the bytes until they expire (Unix seconds) or newer ones need the space."""
        self.drop(token)
        self._files[token] = (expires_at, data)
        self._held += len(data)
        while self._held > self._capacity and len(self._files) > 1:
            self.drop(next(iter(self._files)))

    def get(self, token: str) -> bytes | None:
        """Return the bytes if they are still cached."""
        _, data = self._files.get(token, (0.0, None))
        return data

    def sweep(self, now: float) -> None:
        """Drop expired entries. All results live equally long, so the oldest come first."""
        while self._files:
            token, (expires_at, _) = next(iter(self._files.items()))
            if expires_at > now:
                return
            self.drop(token)

    def drop(self, token: str) -> None:
        """Remove the bytes, if they are cached."""
        _, data = self._files.pop(token, (0.0, b""))
        self._held -= len(data)
