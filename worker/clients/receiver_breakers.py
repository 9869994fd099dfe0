"""Circuit breakers per callback receiver, so that one that hangs does not hold up the others.

An attempt at a receiver that does not answer occupies a thread until its timeout. After several
failures in a row the circuit opens, for longer each time; then one callback at a time probes the
receiver. No answer counts against the host, for all URLs that the tenant has there; an error status
counts against the URL alone. What one tenant's callbacks meet says nothing of another's, even on
the same host: a path of it may hang while the next one works. Each process keeps its own state in
memory. It only saves time; no guarantee depends on it.
"""

import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from worker.clients.backoff import backoff
from worker.clients.receiver import Receiver

#: Failures in a row that open the circuit.
_OPENS_AFTER: Final = 5
#: Seconds that the circuit stays open, at first and at most.
_BASE: Final = 2.0
_LONGEST: Final = 300.0
#: Maximum number of entries for hosts, and for URLs; then the oldest is dropped.
_MOST: Final = 10_000


@dataclass(slots=True)
class _Circuit:
    """The circuit breaker of one host or URL."""

    failures: int = 0
    open_until: float = 0.0
    probing_until: float = 0.0
    #: End of the pause that it asked for by `Retry-After`.
    paused_until: float = 0.0
    failed_at: float = -math.inf


class _Circuits:
    """The circuit breakers of hosts, or of URLs; the caller holds the lock."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._known: dict[bytes, _Circuit] = {}

    def wait(self, name: str, now: float, *, despite_pause: bool) -> float:
        """Return the seconds for which it must not be called; 0: it may be called."""
        circuit = self._known.get(_digest(name))
        if not circuit:
            return 0.0
        until = 0.0 if despite_pause else circuit.paused_until
        if circuit.failures >= _OPENS_AFTER:
            until = max(until, circuit.open_until, circuit.probing_until)
        return max(0.0, until - now)

    def probe(self, name: str, until: float) -> None:
        """Record that one callback probes it; the others wait for the result."""
        circuit = self._open(name)
        if circuit:
            circuit.probing_until = until

    def record_success(self, name: str) -> None:
        """Record a success: close the circuit."""
        self._known.pop(_digest(name), None)

    def record_failure(self, name: str, now: float) -> None:
        """Count a failure."""
        circuit = self._get_or_add(name)
        circuit.failed_at = now
        if now < circuit.open_until:  # the attempt began before the circuit opened
            return
        circuit.failures += 1
        over = circuit.failures - _OPENS_AFTER
        if over >= 0:
            pause = backoff(over, base=_BASE, longest=_LONGEST, rng=self._rng)
            circuit.open_until, circuit.probing_until = now + pause, 0.0

    def failed_at(self, name: str) -> float:
        """Return the time of the last failure."""
        circuit = self._known.get(_digest(name))
        return circuit.failed_at if circuit else -math.inf

    def pause(self, name: str, until: float) -> None:
        """Do not call it before `until`."""
        circuit = self._get_or_add(name)
        circuit.paused_until = max(circuit.paused_until, until)

    def _get_or_add(self, name: str) -> _Circuit:
        circuit = self._known.setdefault(_digest(name), _Circuit())
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
        return circuit

    def _open(self, name: str) -> _Circuit | None:
        circuit = self._known.get(_digest(name))
        return circuit if circuit and circuit.failures >= _OPENS_AFTER else None


class ReceiverBreakers:
    """Decides whether a receiver may be called; thread-safe.

    Args:
        attempt_seconds: Maximum seconds of one attempt.
        clock: Returns the time in seconds.
        rng: Source of the jitter.
    """

    def __init__(
        self, *, attempt_seconds: float, clock: Callable[[], float], rng: random.Random
    ) -> None:
        self._attempt_seconds = attempt_seconds
        self._clock = clock
        self._lock = threading.Lock()
        # Separate, so that many failing URLs cannot displace a host that hangs.
        self._hosts = _Circuits(rng)
        self._urls = _Circuits(rng)

    def wait(self, receiver: Receiver, *, despite_pause: bool = False) -> float:
        """Return the seconds for which it must not be called; 0: call it now.

        Args:
            receiver: The tenant and its URL.
            despite_pause: Ignore a pause that the receiver asked for.
        """
        host, url = _names(receiver)
        with self._lock:
            now = self._clock()
            left = max(
                self._hosts.wait(host, now, despite_pause=despite_pause),
                self._urls.wait(url, now, despite_pause=despite_pause),
            )
            if not left:
                self._hosts.probe(host, now + self._attempt_seconds)
                self._urls.probe(url, now + self._attempt_seconds)
            return left

    def failed_ago(self, receiver: Receiver) -> float:
        """Return how many seconds ago, at most, the last failed attempt there began."""
        host, url = _names(receiver)
        with self._lock:
            ended_at = max(self._hosts.failed_at(host), self._urls.failed_at(url))
            return self._clock() - ended_at + self._attempt_seconds

    def record_success(self, receiver: Receiver) -> None:
        """Record that the receiver answered."""
        host, url = _names(receiver)
        with self._lock:
            self._hosts.record_success(host)
            self._urls.record_success(url)

    def record_error(self, receiver: Receiver) -> None:
        """Record an error status of the URL; its host is reachable."""
        host, url = _names(receiver)
        with self._lock:
            self._hosts.record_success(host)
            self._urls.record_failure(url, self._clock())

    def record_pause(self, receiver: Receiver, seconds: float) -> None:
        """Record that the URL's answer asked for a pause; other URLs of its host did not."""
        _, url = _names(receiver)
        with self._lock:
            self._urls.pause(url, self._clock() + seconds)

    def record_no_answer(self, receiver: Receiver) -> None:
        """Record that the host gave no answer."""
        host, _ = _names(receiver)
        with self._lock:
            self._hosts.record_failure(host, self._clock())


def _names(receiver: Receiver) -> tuple[str, str]:
    """Return the names of the circuits of its host and its URL; a tenant's name has no space."""
    return f"{receiver.tenant} {receiver.host}", f"{receiver.tenant} {receiver.url}"


def _digest(name: str) -> bytes:
    """Return a hash of a name: URLs may be long and contain callers' secrets."""
    return sha256(name.encode(errors="surrogatepass")).digest()
