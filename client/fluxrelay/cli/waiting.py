"""Looks at a job or a batch until it has ended, through outages of the service."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from fluxrelay.errors import UnavailableError, UnreachableError

#: Seconds between two requests at least, should the service not wait.
_PAUSE_SECONDS: Final = 0.5
#: For so many seconds the service may be away.
_LONGEST_OUTAGE: Final = 300.0
_ENDS: Final = frozenset({"succeeded", "failed", "canceled", "completed"})

View = Mapping[str, Any]


def await_end(
    look: Callable[[int], View],
    show: Callable[[View], None],
    *,
    each: int = 1,
    seconds: float | None = None,
) -> View:
    """Return the view of a job or a batch that has ended, or as it is when the time is up.

    Args:
        look: Returns the view, once it has ended or after that many seconds.
        show: Is given each view.
        each: Seconds for which one request waits at the service; then the view is shown anew.
        seconds: How long to wait; None: until the end.

    Raises:
        UnreachableError: The service has been out of reach for five minutes, or from the beginning
            until the time was up.
        UnavailableError: It has been unavailable for as long.
    """
    started = answered = time.monotonic()
    view: View | None = None
    while True:
        begun = time.monotonic()
        left = each if seconds is None else max(0.0, min(each, seconds - (begun - started)))
        over = seconds is not None and left == 0
        try:
            view = look(int(left))
        except (UnreachableError, UnavailableError):
            if time.monotonic() - answered > _LONGEST_OUTAGE or (over and view is None):
                raise
        else:
            answered = time.monotonic()
            show(view)
        if view and (over or view["status"] in _ENDS):
            return view
        threading.Event().wait(max(0.0, begun + min(_PAUSE_SECONDS, left) - time.monotonic()))
