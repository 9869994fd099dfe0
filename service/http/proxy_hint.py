"""Detects a TLS-terminating proxy that the settings do not trust.

Without that trust, links of the drop-in API start with `http://`, and clients may fail to follow
them. Nothing fails here, so the operator would not notice.
"""

import logging
import re
from typing import Any, Final

from starlette.requests import Request

from core.log import event

_log = logging.getLogger(__name__)
_FORWARDED: Final = re.compile(r"(?:^|[;,\s])proto=\"?https\b", re.IGNORECASE)
_READ: Final = 1024  # characters of a header


class ProxyHint:
    """Warns once; `text` is None until then."""

    def __init__(self) -> None:
        self.text: str | None = None

    def look(self, request: Request[Any], origin: str) -> None:
        """Check a request whose links will start with `origin`."""
        if self.text or not origin.startswith("http://") or not _came_over_tls(request):
            return
        peer = request.client.host if request.client else "unknown"
        self.text = (
            f"A request came over HTTPS by way of {peer}, which FLUXRELAY_TRUSTED_PROXIES does not "
            "name, so links are handed out as http://; name the proxy's network there"
        )
        event(_log, "service.proxy_not_trusted", logging.WARNING, peer=peer)


def _came_over_tls(request: Request[Any]) -> bool:
    proto = request.headers.get("x-forwarded-proto", "")[:_READ]
    if proto.partition(",")[0].strip().lower() == "https":
        return True
    return bool(_FORWARDED.search(request.headers.get("forwarded", "")[:_READ]))
