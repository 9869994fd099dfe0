"""Whom a callback goes to."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Receiver:
    """One tenant's URL for callbacks.

    Tenants may use the same host, or the same URL; what is learnt of it for one must not delay the
    others.

    Attributes:
        tenant: The tenant whose callback it is.
        url: The URL.
    """

    tenant: str
    url: str

    @property
    def host(self) -> str:
        """The URL's host and port, or the URL itself if it is invalid."""
        try:
            return urlsplit(self.url).netloc
        except ValueError:
            return self.url
