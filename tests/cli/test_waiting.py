"""Waiting for an end lasts through outages, and not beyond the time that was given."""

import pytest

from fluxrelay.cli.waiting import View, await_end
from fluxrelay.errors import NotFoundError, UnavailableError, UnreachableError

_AWAY = UnreachableError("no connection", sent=False)


def test_an_outage_ends_no_wait() -> None:
    """The service is asked again, and every view that it answers with is shown."""
    views: list[Exception | View] = [
        {"status": "queued"},
        _AWAY,
        UnavailableError(503, {}),
        {"status": "succeeded"},
    ]
    shown: list[View] = []

    def look(_seconds: int) -> View:
        view = views.pop(0)
        if isinstance(view, Exception):
            raise view
        return view

    assert await_end(look, shown.append) == {"status": "succeeded"}
    assert [view["status"] for view in shown] == ["queued", "succeeded"]


def test_the_time_to_wait_ends() -> None:
    """With no time left it looks once, and returns what it saw, or raises what kept it from it."""

    def away(_seconds: int) -> View:
        raise _AWAY

    assert await_end(lambda _: {"status": "queued"}, print, seconds=0) == {"status": "queued"}
    with pytest.raises(UnreachableError):
        await_end(away, print, seconds=0)


def test_a_refusal_ends_the_wait() -> None:
    """A job that is gone is not asked for again."""

    def gone(_seconds: int) -> View:
        raise NotFoundError(404, {})

    with pytest.raises(NotFoundError):
        await_end(gone, print)
