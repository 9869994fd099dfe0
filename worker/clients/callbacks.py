"""Sends callbacks: one POST, to public addresses only, following no redirects."""

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from core.security.address_rules import Network
from core.text_values import Secret
from worker.network.guarded_http import Deadline, TooLarge, guarded_client, read_body
from worker.network.name_lookups import (
    Lookups,
    LookupsBusy,
    LookupTimeout,
    NameNotFound,
    Resolve,
    system_addresses,
)
from worker.network.proxies import AddressRefused

_CONNECT_TIMEOUT: Final = 5.0  # seconds
_LARGEST_ANSWER: Final = 64 * 1024  # bytes; nobody reads it


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How one attempt went: an HTTP status, or an error."""

    status: int | None = None
    error: str | None = None
    #: It cannot go better another time, whoever is called.
    hopeless: bool = False
    #: The answer's `Retry-After`, as it came.
    retry_after: str = ""

    @property
    def made(self) -> bool:
        """Whether there was an attempt at all."""
        return self.error not in (LEFT_ALONE, NO_PLACE)

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and httpx.codes.is_success(self.status)

    @property
    def answered(self) -> bool:
        """Whether the receiver is well, whatever it thinks of this callback."""
        well = self.status is not None and self.status < httpx.codes.INTERNAL_SERVER_ERROR
        return (well and self.status != httpx.codes.TOO_MANY_REQUESTS) or self.error == REFUSED

    @property
    def final(self) -> bool:
        """Whether no further attempt is wanted: taken, gone for good (410), or refused by us."""
        unwanted = self.status == httpx.codes.GONE or self.error == REFUSED
        return self.delivered or unwanted or self.hopeless


REFUSED: Final = "the host leads to private or reserved addresses only"
LEFT_ALONE: Final = "no attempt was made: the receiver was in trouble for a while"
NO_PLACE: Final = "no attempt was made: too many host names were slow to look up"
#: Of so many callbacks at a time one may wait for a name that is slow to look up.
_PER_SLOW_NAME: Final = 4


class CallbackClient:
    """Posts callbacks.

    Args:
        allowed: Networks that may be called although they are private.
        timeout: Seconds for one attempt as a whole.
        connections: How many may run at a time.
        ssl_context: Made once per process.
        resolve: Returns a host's addresses, or raises.
        proxy: See `worker.network.proxies.way_out`.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[Network],
        timeout: float,
        connections: int,
        ssl_context: ssl.SSLContext,
        resolve: Resolve = system_addresses,
        proxy: Secret | None = None,
    ) -> None:
        self._timeout = timeout
        self._deadline = Deadline()
        self._client = guarded_client(
            timeout=httpx.Timeout(timeout, connect=min(_CONNECT_TIMEOUT, timeout)),
            connections=connections,
            ssl_context=ssl_context,
            allowed=allowed,
            deadline=self._deadline,
            proxy=proxy,
            # Callers name hosts: those that nobody serves must leave places for the others.
            lookups=Lookups(
                places=max(1, connections // _PER_SLOW_NAME), longest=timeout, resolve=resolve
            ),
        )

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Delivery:
        """Make one attempt and say how it went; raises nothing."""
        self._deadline.at = give_up_at = time.monotonic() + self._timeout
        try:
            with self._client.stream("POST", url, content=body, headers=headers) as response:
                status = response.status_code
                try:
                    read_body(response, limit=_LARGEST_ANSWER, give_up_at=give_up_at, decoded=False)
                except (TooLarge, httpx.HTTPError):
                    response.close()  # the status counts; the rest of the answer does not
                return Delivery(status=status, retry_after=response.headers.get("retry-after", ""))
        except AddressRefused:
            return Delivery(error=REFUSED)
        except LookupsBusy:
            return Delivery(error=NO_PLACE)
        except (NameNotFound, LookupTimeout) as error:
            return Delivery(error=str(error))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            # Not one that the client can call; a host in Punycode that says nothing, too.
            return Delivery(error=type(error).__name__, hopeless=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, this is how the attempt went
            return Delivery(error=type(error).__name__)
