"""Signs a PUT to S3, with a checksum of its body that is known already.

AWS Signature Version 4, "Authenticating Requests: Using the Authorization Header".
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs."""

    access_key: str
    secret_key: str
    token: str | None

    def put_headers(
        self, url: str, headers: Mapping[str, str], *, body: bytes, region: str, at: float
    ) -> dict[str, str]:
        """Return the headers of a PUT with those that prove who sends it; all of them are signed.

        Args:
            url: Where, its path encoded as it is sent, without a query.
            headers: What is sent besides; names in lower case.
            body: The SHA-256 of the body.
            region: The bucket's.
            at: Unix time in seconds.
        """
        parts = urlsplit(url)
        stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = {
            **headers,
            "host": parts.netloc,
            "x-amz-content-sha256": body.hex(),
            "x-amz-date": stamp,
        }
        if self.token:
            signed["x-amz-security-token"] = self.token
        names = ";".join(sorted(signed))
        lines = (f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
        request = f"PUT\n{parts.path}\n\n{''.join(lines)}\n{names}\n{body.hex()}"
        scope = f"{stamp[:8]}/{region}/s3/aws4_request"
        digest = sha256(request.encode()).hexdigest()
        key = _signing_key(self.secret_key, stamp[:8], region)
        signature = _keyed(key, f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}").hex()
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={self.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return signed


@lru_cache(maxsize=4)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = _keyed(key, part)
    return key


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), sha256).digest()
