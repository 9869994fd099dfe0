"""Sends callbacks: one POST, to public addresses only, without following redirects."""

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
_MAX_ANSWER_BYTES: Final = 64 * 1024  # bytes; the answer's body is discarded


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The outcome of one attempt: an HTTP status or an error."""

    status: int | None = None
    error: str | None = None
    #: No later attempt can succeed.
    never_retry: bool = False
    #: The answer's `Retry-After`, as it came.
    retry_after: str = ""
    #: How long the attempt took.
    milliseconds: int | None = field(default=None, compare=False)

    @property
    def attempted(self) -> bool:
        """Whether a request was attempted at all."""
        return self.error not in (BREAKER_OPEN, LOOKUPS_BUSY, TENANT_BUSY)

    @property
    def delivered(self) -> bool:
        """Whether the receiver accepted the callback."""
        return self.status is not None and httpx.codes.is_success(self.status)

    @property
    def answered(self) -> bool:
        """Whether the receiver works, whatever it answered to this callback."""
        well = self.status is not None and self.status < httpx.codes.INTERNAL_SERVER_ERROR
        return (well and self.status != httpx.codes.TOO_MANY_REQUESTS) or self.error == REFUSED

    @property
    def final(self) -> bool:
        """Whether no further attempt is wanted: delivered, gone for good (410) or refused."""
        unwanted = self.status == httpx.codes.GONE or self.error == REFUSED
        return self.delivered or unwanted or self.never_retry


REFUSED: Final = "the host resolves to private or reserved addresses only"
BREAKER_OPEN: Final = "no attempt was made: the receiver's circuit breaker was open"
LOOKUPS_BUSY: Final = "no attempt was made: too many name lookups were slow"
TENANT_BUSY: Final = "no attempt was made: too many callbacks of this tenant were slow"
#: For each tenant, one in this many concurrent callbacks may wait for a slow name lookup.
_CALLBACKS_PER_SLOW_LOOKUP: Final = 4


class CallbackClient:
    """Posts callbacks.

    Args:
        allowed: Private networks that may be called.
        timeout: Seconds for one attempt as a whole.
        connections: Maximum number of concurrent callbacks.
        ssl_context: Shared by the clients of a process.
        resolve: Returns a host's addresses, or raises.
        proxy: As in `worker.network.proxies.transport_through`.
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
        # Tenants choose the hosts. Names that nobody serves must not block other callbacks.
        self._lookups = Lookups(
            slow_waits=max(1, connections // _CALLBACKS_PER_SLOW_LOOKUP),
            longest=timeout,
            resolve=resolve,
        )
        self._client = guarded_client(
            timeout=httpx.Timeout(timeout, connect=min(_CONNECT_TIMEOUT, timeout)),
            connections=connections,
            ssl_context=ssl_context,
            allowed=allowed,
            deadline=self._deadline,
            proxy=proxy,
            lookups=self._lookups,
        )

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, tenant: str = ""
    ) -> Delivery:
        """Make one attempt and return its outcome; never raises.

        Args:
            url: The receiver's URL.
            body: The body.
            headers: The headers.
            tenant: Whose share of the name lookups is used.
        """
        started = time.monotonic()
        delivery = self._post(url, body, headers, tenant, started + self._timeout)
        return replace(delivery, milliseconds=round((time.monotonic() - started) * 1000))

    def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], tenant: str, give_up_at: float
    ) -> Delivery:
        self._lookups.caller.name = tenant
        self._deadline.at = give_up_at
        try:
            with self._client.stream("POST", url, content=body, headers=headers) as response:
                status = response.status_code
                try:
                    read_body(
                        response, limit=_MAX_ANSWER_BYTES, give_up_at=give_up_at, decoded=False
                    )
                except (TooLarge, httpx.HTTPError):
                    response.close()  # the status is enough; the rest of the answer does not matter
                return Delivery(status=status, retry_after=response.headers.get("retry-after", ""))
        except AddressRefused:
            return Delivery(error=REFUSED)
        except LookupsBusy:
            return Delivery(error=LOOKUPS_BUSY)
        except (NameNotFound, LookupTimeout) as error:
            return Delivery(error=str(error))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            # The client cannot call this URL, such as one with invalid Punycode.
            return Delivery(error=type(error).__name__, never_retry=True)
        except Exception as error:  # noqa: BLE001 - any error is the outcome
            return Delivery(error=_describe(error))


def _describe(error: BaseException) -> str:
    """Return what is wrong with the receiver's TLS, or else the kind of the error.

    The text of other errors may quote what the receiver sent.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the TLS certificate was refused: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return f"the TLS connection failed: {cause.reason.replace('_', ' ').lower()}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
