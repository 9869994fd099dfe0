"""The API's hosts: the global one, and one per region, on a port of its own.

Tasks are regional: only the host of the region that runs a task knows it. Without regions, the
global host is the only one and knows every task.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

#: Name of the host that belongs to no region.
GLOBAL: Final = "global"


@dataclass(frozen=True)
class Hosts:
    """The hosts, with the global one's address and the port of each region."""

    public_url: str
    regions: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """Every host's name."""
        return (GLOBAL, *self.regions)

    def asked(self, request: Request) -> str:
        """Return the name of the host that a request came to, by its port."""
        server = request.scope.get("server")
        by_port = {port: region for region, port in self.regions.items()}
        return by_port.get(server[1], GLOBAL) if server else GLOBAL

    def region_of(self, host: str, number: int) -> str | None:
        """Return a task's region: the host's own, or round robin by the task's number."""
        if not self.regions:
            return None
        return list(self.regions)[number % len(self.regions)] if host == GLOBAL else host

    def url(self, region: str | None) -> str:
        """Return the URL of a region's host; of the global host without a region."""
        if region is None or region not in self.regions:
            return self.public_url
        parts = urlsplit(self.public_url)
        name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return parts._replace(netloc=f"{name}:{self.regions[region]}").geturl()

    def knows(self, host: str, region: str | None) -> bool:
        """Whether a host knows the tasks of a region."""
        return region not in self.regions or host == region
