"""Kills processes as planned, and restarts each after its downtime."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from chaos.plan.plan import Kill, Plan
from stack.receiver import CallbackReceiver
from stack.servers.process import ManagedProcess, ProcessFailedError
from stack.stack import Stack

_LOOK_EVERY: Final = 0.02  # seconds
#: Seconds after which a process that exited by itself is restarted, as a supervisor would.
_SUPERVISED: Final = 0.5
_RECOVERY: Final = 60.0  # seconds for everything to get ready after the last kill
#: Seconds for which everything must be ready before the next wave of kills. On a slow machine,
#: waves therefore start later than planned.
_CALM: Final = 4.0
_PROBE_EVERY: Final = 0.5  # seconds
#: Factor on the planned duration after which the remaining kills are left out.
_STRETCH: Final = 1.6
RECEIVER: Final = "receiver"


@dataclass(frozen=True)
class Death:
    """A process was down from `at` to `back_at` (Unix times); `planned` if the killer did it."""

    target: str
    at: float
    back_at: float
    planned: bool


class Killer:
    """Carries out a plan's kills in a thread of its own.

    Args:
        stack: The stack whose processes are killed.
        receiver: The callers' receiver, which goes down at times, too.
        plan: The plan with the kills.
    """

    def __init__(self, stack: Stack, receiver: CallbackReceiver, plan: Plan) -> None:
        self._stack = stack
        self._receiver = receiver
        self._kills = sorted(plan.kills, key=lambda kill: kill.at, reverse=True)
        self._down: dict[str, tuple[float, float, bool]] = {}  # since (Unix), until, planned
        self._deaths: list[Death] = []
        self._wave, self._late = 0, 0.0
        self._calm_since: float | None = None
        self._probe_at, self._ready = 0.0, False
        self._longest = plan.seconds * _STRETCH
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run_kills, name="killer", daemon=True)

    def start(self) -> None:
        """Start killing."""
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether all kills are done and everything runs again."""
        return not self._thread.is_alive()

    @property
    def deaths(self) -> tuple[Death, ...]:
        """All downtimes so far."""
        return tuple(self._deaths)

    @property
    def kills(self) -> Counter[str]:
        """Number of kills so far, by process."""
        return Counter(death.target for death in self.deaths if death.planned)

    @property
    def unexpected_exits(self) -> tuple[Death, ...]:
        """Processes that exited without being killed."""
        return tuple(death for death in self.deaths if not death.planned)

    def stop(self) -> None:
        """Stop killing; return when all killed processes are started again."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def finish(self) -> None:
        """Stop killing; return when all killed processes are ready.

        Raises:
            ProcessFailedError: A process does not get ready.
        """
        self.stop()
        deadline = time.monotonic() + _RECOVERY
        for process in self._stack.processes.values():
            process.wait_ready(max(1.0, deadline - time.monotonic()))

    def _run_kills(self) -> None:
        began = time.monotonic()
        while (self._kills and not self._stop.is_set()) or self._down:
            now = time.monotonic() - began
            if now > self._longest:
                self._kills.clear()
            self._begin_wave(now)
            while self._is_due(now) and not self._stop.is_set():
                self._kill(self._kills.pop(), now)
            self._look(now)
            for target, (since, until, planned) in list(self._down.items()):
                if until <= now:
                    self._bring_back(target)
                    del self._down[target]
                    self._deaths.append(Death(target, since, time.time(), planned))
            time.sleep(_LOOK_EVERY)

    def _is_due(self, now: float) -> bool:
        if not self._kills:
            return False
        kill = self._kills[-1]
        return kill.wave == self._wave and kill.at + self._late <= now

    def _begin_wave(self, now: float) -> None:
        """Start the next wave when this one is over and everything has been ready for a while."""
        if not self._kills or self._kills[-1].wave == self._wave:
            return
        if not self._all_ready(now):
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= _CALM and self._kills[-1].at + self._late <= now:
            self._late = now - self._kills[-1].at
            self._wave, self._calm_since = self._kills[-1].wave, None

    def _all_ready(self, now: float) -> bool:
        if now >= self._probe_at:
            self._probe_at = now + _PROBE_EVERY
            self._ready = not self._down and all(map(_is_ready, self._stack.processes.values()))
        return self._ready

    def _kill(self, kill: Kill, now: float) -> None:
        if kill.target in self._down:
            return
        self._down[kill.target] = (time.time(), now + kill.down, True)
        if kill.target == RECEIVER:
            self._receiver.go_down()
        else:
            self._stack.processes[kill.target].kill()

    def _look(self, now: float) -> None:
        for name, process in self._stack.processes.items():
            if name not in self._down and not process.is_alive:
                self._down[name] = (time.time(), now + _SUPERVISED, False)

    def _bring_back(self, target: str) -> None:
        if target == RECEIVER:
            self._receiver.come_up()
        else:
            self._stack.processes[target].start()


def _is_ready(process: ManagedProcess) -> bool:
    try:
        return process.check_ready()
    except ProcessFailedError:
        return False  # it exited by itself; the next check records that
