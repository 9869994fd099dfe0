"""Looks at a job or a batch until it has ended."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

#: Seconds for which one request waits at the service; then the view is shown anew.
_LOOK_SECONDS: Final = 1.0
#: Seconds between two requests at least, should the service not wait.
_PAUSE_SECONDS: Final = 0.5
_ENDS: Final = frozenset({"succeeded", "failed", "canceled", "completed"})

View = Mapping[str, Any]


def await_end(look: Callable[[float], View], show: Callable[[View], None]) -> View:
    """Return the view of a job or a batch that has ended.

    Args:
        look: Returns the view, once it has ended or after that many seconds.
        show: Is given each view.
    """
    while True:
        begun = time.monotonic()
        view = look(_LOOK_SECONDS)
        show(view)
        if view["status"] in _ENDS:
            return view
        threading.Event().wait(max(0.0, begun + _PAUSE_SECONDS - time.monotonic()))
