"""Result files: their bytes in bounded memory, and signed URLs that expire.

The URLs look like the provider's, which are Azure shared access signatures: `se` is the expiry,
`rsct` the content type, and `sig` signs all parameters.
"""

import base64
import contextlib
import hashlib
import heapq
import hmac
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Final
from urllib.parse import quote

#: Version of the signature scheme in the provider's URLs.
SIGNATURE_VERSION: Final = "2024-11-04"
#: The signed parameters in the URL's order.
SIGNED: Final = ("se", "sp", "sv", "sr", "rsct")
#: Bytes of files kept in memory; beyond that the oldest are dropped, and made again on request.
MEMORY_BYTES: Final = 256 * 1024 * 1024
#: Bytes of a generated signing key.
KEY_BYTES: Final = 32


#: Bytes of one piece of a file.
PIECE: Final = 256 * 1024
_ZEROS: Final = memoryview(bytes(PIECE))


class Role(StrEnum):
    """What a file is in a task's result, as `result` names it."""

    SAMPLE = "sample"
    DRAFT_CACHE = "draft_cache"


@dataclass(frozen=True)
class Content:
    """The bytes of a file: a head, and zeros after it, which take no memory."""

    head: bytes
    zeros: int = 0

    def __len__(self) -> int:
        return len(self.head) + self.zeros

    def first(self, length: int) -> "Content":
        """Return the file cut off after `length` bytes."""
        return Content(self.head[:length], max(0, min(self.zeros, length - len(self.head))))

    def pieces(self, start: int, stop: int, most: int = PIECE) -> Iterator[bytes | memoryview]:
        """Yield the bytes from `start` to `stop` in pieces of at most `most` bytes."""
        head = memoryview(self.head)
        while start < stop:
            end = min(stop, start + most)
            if start < len(head):
                end = min(end, len(head))
                yield head[start:end]
            else:
                end = min(end, start + PIECE)
                yield _ZEROS[: end - start]
            start = end

    def whole(self) -> bytes:
        """Return all bytes at once, for faults that change them."""
        return self.head + bytes(self.zeros)


@dataclass(frozen=True)
class Artifact:
    """One file of a result: its facts, and its URL until `expires_at` (Unix seconds)."""

    role: Role
    #: Names the result in the URLs of all its files.
    token: str
    url: str
    expires_at: float
    content_type: str
    size: int
    #: Digests in hexadecimal, and in base64 as `Content-MD5` has it.
    sha256: str
    md5: str

    @classmethod
    def of(cls, content: Content, role: Role, token: str) -> "Artifact":
        """Return the facts of a file that has no URL yet."""
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        for piece in content.pieces(0, len(content)):
            sha256.update(piece)
            md5.update(piece)
        digest = base64.b64encode(md5.digest()).decode()
        return cls(role, token, "", 0.0, "", len(content), sha256.hexdigest(), digest)

    def at(self, url: str, content_type: str, expires_at: float) -> "Artifact":
        """Return it with its URL."""
        return replace(self, url=url, content_type=content_type, expires_at=expires_at)


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
        self, host_url: str, token: str, name: str, content_type: str, expires_at: float
    ) -> str:
        """Return the URL of a file on a host; it expires at `expires_at` (Unix seconds)."""
        path = f"/results/{token}/{name}"
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


class FileCache:
    """Cache of the newest files by token, at most `capacity` bytes."""

    def __init__(self, capacity: int = MEMORY_BYTES) -> None:
        self._capacity = capacity
        self._held = 0
        self._files: OrderedDict[str, bytes] = OrderedDict()
        #: Expiry and token of every file that was put, the earliest expiry first.
        self._expiries: list[tuple[float, str]] = []

    def put(self, token: str, data: bytes, expires_at: float) -> None:
        """Keep the bytes until they expire (Unix seconds) or newer ones need the space."""
        self.drop(token)
        self._files[token] = data
        heapq.heappush(self._expiries, (expires_at, token))
        self._held += len(data)
        while self._held > self._capacity and len(self._files) > 1:
            self.drop(next(iter(self._files)))

    def get(self, token: str) -> bytes | None:
        """Return the bytes if they are still cached."""
        return self._files.get(token)

    def sweep(self, now: float) -> None:
        """Drop expired entries."""
        while self._expiries and self._expiries[0][0] <= now:
            _, token = heapq.heappop(self._expiries)
            self.drop(token)

    def drop(self, token: str) -> None:
        """Remove the bytes, if they are cached."""
        self._held -= len(self._files.pop(token, b""))
