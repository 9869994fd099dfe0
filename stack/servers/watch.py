"""Supervises the stack's processes: restarts those that die, with a growing delay."""

import time
from collections.abc import Callable, Iterable

from stack.servers.process import ManagedProcess, ProcessFailedError

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0
#: A process that ran this long has recovered: its next death counts as its first.
_RECOVERED_SECONDS = 60.0


class _Watched:
    def __init__(self, process: ManagedProcess, now: float) -> None:
        self.process = process
        self.deaths = 0
        self.ready = True
        self.started_at = now
        self.start_at: float | None = None


class Watch:
    """Supervises running processes.

    Args:
        processes: The processes.
        say: Called with a line of text for every death and return.
        clock: A monotonic clock in seconds.
    """

    def __init__(
        self,
        processes: Iterable[ManagedProcess],
        say: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._clock = clock
        self._watched = [_Watched(process, clock()) for process in processes]

    def look(self) -> None:
        """Check each process once: record deaths, start what is due, record what is ready again."""
        for watched in self._watched:
            if watched.start_at is not None:
                self._start_if_due(watched)
            elif not watched.process.is_alive:
                self._note_death(watched)
            elif not watched.ready:
                self._note_ready(watched)

    def _note_death(self, watched: _Watched) -> None:
        now = self._clock()
        if now - watched.started_at > _RECOVERED_SECONDS:
            watched.deaths = 0
        wait = min(_FIRST_WAIT_SECONDS * 2**watched.deaths, _LONGEST_WAIT_SECONDS)
        watched.deaths += 1
        watched.start_at = now + wait
        name, code = watched.process.name, watched.process.exit_code
        self._say(f"{name} died (exit code {code}), starting it again in {wait:g} s")

    def _start_if_due(self, watched: _Watched) -> None:
        now = self._clock()
        if watched.start_at is None or now < watched.start_at:
            return
        watched.process.start()
        watched.start_at = None
        watched.started_at = now
        watched.ready = False

    def _note_ready(self, watched: _Watched) -> None:
        try:
            watched.ready = watched.process.check_ready()
        except ProcessFailedError:
            return  # it died again; the next check records that
        if watched.ready:
            self._say(f"{watched.process.name} is ready again")
