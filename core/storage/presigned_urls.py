"""Links to objects of the bucket that carry their own permission, for a limited time."""

from collections.abc import Mapping
from typing import Any, Final

from botocore.config import Config

from core.storage.aws_session import aws_session
from core.storage.s3_errors import translated

#: Longest life of such a link in seconds (S3, Signature Version 4).
LONGEST_LIFE: Final = 604_800
_OPERATIONS: Final[Mapping[str, str]] = {"GET": "get_object", "HEAD": "head_object"}


class PresignedUrls:
    """Makes presigned URLs; no request is sent.

    Args:
        bucket: The bucket's name.
        endpoint: Address at which callers reach S3; None: the one that we use.
    """

    def __init__(self, bucket: str, endpoint: str | None = None) -> None:
        self._bucket = bucket
        # Version 2, which botocore would still choose in some regions, is refused by many servers.
        config = Config(signature_version="s3v4")
        self._client: Any = aws_session().client("s3", config=config, endpoint_url=endpoint)

    def make(self, method: str, key: str, seconds: int, disposition: str | None = None) -> str:
        """Return a URL for one method; blocking, as credentials may have to be fetched.

        Args:
            method: GET or HEAD: a signature is for one method.
            key: The object's key.
            seconds: How long it is valid, at most `LONGEST_LIFE`; less if the credentials that
                sign it expire before.
            disposition: `Content-Disposition` that S3 is to answer a GET with.

        Raises:
            StorageUnavailable: There are no credentials at the moment.
        """
        parameters = {"Bucket": self._bucket, "Key": key}
        if disposition and method == "GET":
            parameters["ResponseContentDisposition"] = disposition
        with translated("sign a link"):
            url: str = self._client.generate_presigned_url(
                _OPERATIONS[method], Params=parameters, ExpiresIn=seconds
            )
        return url
