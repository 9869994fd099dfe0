"""AWS Signature Version 4 as a server checks it: computed anew over what came."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from email.message import Message
from typing import Final, Self
from urllib.parse import parse_qsl, quote, urlsplit

ACCESS_KEY: Final = "AKIDOFTHESTANDIN0000"
SECRET_KEY: Final = "a-secret-of-the-stand-in"
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request,"
    r" ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signed:
    """Who signed a request, for which region, and whether that is right."""

    region: str
    is_right: bool
    payload: str

    @classmethod
    def read(cls, headers: Message, method: str, target: str) -> Self | None:
        """Read it from a request; None where it is not signed."""
        found = _AUTHORIZATION.match(headers.get("authorization", ""))
        if not found:
            return None
        access_key, day, region, names, signature = found.groups()
        payload = headers.get("x-amz-content-sha256", "")
        parts = urlsplit(target)
        pairs = sorted(parse_qsl(parts.query, keep_blank_values=True))
        query = "&".join(f"{quote(name, safe='~')}={quote(text, safe='~')}" for name, text in pairs)
        lines = [f"{name}:{' '.join(headers.get(name, '').split())}" for name in names.split(";")]
        request = [method, parts.path, query, *lines, "", names, payload]
        digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
        scope = f"{day}/{region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", headers.get("x-amz-date", ""), scope, digest])
        key = f"AWS4{SECRET_KEY}".encode()
        for part in (day, region, "s3", "aws4_request", text):
            key = hmac.digest(key, part.encode(), "sha256")
        return cls(region, access_key == ACCESS_KEY and key.hex() == signature, payload)

    def covers(self, body: bytes) -> bool:
        """Say whether the body is the one that was signed, or none was."""
        return self.payload in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest())
