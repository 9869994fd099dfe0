"""Counts the requests that wait for jobs or receive events, and bounds their number."""

from collections import Counter
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Final, NamedTuple

from service.http.problems import Problem
from service.http.shares import Limit, Refusals, Shares

_RETRY_AFTER: Final = "5"  # seconds


class Kind(StrEnum):
    """What a request waits for."""

    WAIT = "wait"  # the end of a job or of a batch
    JOB_EVENTS = "job_events"
    EVENTS = "events"  # of all of a tenant's jobs: it is sent each of them


class WaitingLimits(NamedTuple):
    """How many requests may wait at a time."""

    most: int
    #: Of one tenant.
    each: int
    #: Streams of all of its jobs, of one tenant.
    streams: int


class Waiters:
    """The requests that wait.

    Args:
        limits: How many there may be.
        refusals: Told of those that are turned away.
    """

    def __init__(self, limits: WaitingLimits, refusals: Refusals) -> None:
        most, each, streams = limits
        self.most = most
        self.refusals = refusals
        #: How many wait, by what they wait for.
        self.counts: Counter[Kind] = Counter()
        total = Limit("waiting", most, partial(_process_full, most))
        share = Limit("waiting_of_one_tenant", each, partial(_share_full, each))
        streamed = Limit("events_of_one_tenant", streams, partial(_too_many_streams, streams))
        self._all = Shares(total, share, refusals)
        self._streams = Shares(total, streamed, refusals)

    @property
    def count(self) -> int:
        """How many wait."""
        return self._all.taken

    def enter(self, tenant: str, kind: Kind) -> None:
        """Count a request, which is to leave.

        Raises:
            Problem: Too many wait already.
        """
        self._all.take(tenant)
        if kind is Kind.EVENTS:
            try:
                self._streams.take(tenant)
            except Problem:
                self._all.give_back(tenant)
                raise
        self.counts[kind] += 1

    def leave(self, tenant: str, kind: Kind) -> None:
        """Count a request no longer."""
        self.counts[kind] -= 1
        self._all.give_back(tenant)
        if kind is Kind.EVENTS:
            self._streams.give_back(tenant)


def _process_full(most: int) -> Problem:
    detail = (
        f"{most} requests wait in this process already, which is its limit "
        "(FLUXRELAY_MAX_WAITERS, and half of FLUXRELAY_MAX_CONNECTIONS at most); try again after "
        "Retry-After, or do not wait"
    )
    headers = {"retry-after": _RETRY_AFTER}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=headers)


def _share_full(each: int) -> Problem:
    detail = (
        f"{each} requests of yours wait in this process already, which is your share of its limit "
        "(FLUXRELAY_MAX_WAITERS); end some, or try again after Retry-After"
    )
    return _too_many(detail)


def _too_many_streams(streams: int) -> Problem:
    detail = (
        f"You have {streams} streams of all your jobs in this process already, which is the limit "
        "(FLUXRELAY_MAX_EVENT_STREAMS); end some, or watch single jobs"
    )
    return _too_many(detail)


def _too_many(detail: str) -> Problem:
    headers = {"retry-after": _RETRY_AFTER}
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-waiting", detail, headers=headers)
