"""Kills processes as planned, and starts each again after its time."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from chaos.plan import Kill, Plan
from stack.receiver import CallbackReceiver
from stack.stack import Stack

_LOOK_EVERY: Final = 0.02  # seconds
#: Seconds after which a process that ended by itself is started again, as a supervisor would.
_SUPERVISED: Final = 0.5
_CALM: Final = 60.0  # seconds that everything has to be ready after the last kill
RECEIVER: Final = "receiver"


@dataclass(frozen=True)
class Death:
    """A process was gone from `at` to `back_at` (Unix times); `planned`: by our hand."""

    target: str
    at: float
    back_at: float
    planned: bool


class Storm:
    """Carries out a plan's kills in a thread of its own.

    Args:
        stack: Whose processes are killed.
        receiver: The callers' receiver, which goes down at times as well.
        plan: When what is killed.
    """

    def __init__(self, stack: Stack, receiver: CallbackReceiver, plan: Plan) -> None:
        self._stack = stack
        self._receiver = receiver
        self._kills = sorted(plan.kills, key=lambda kill: kill.at, reverse=True)
        self._down: dict[str, tuple[float, float, bool]] = {}  # since (Unix), until, planned
        self._deaths: list[Death] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._rage, name="storm", daemon=True)

    def start(self) -> None:
        """Begin to kill."""
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether all kills were carried out and everything was started again."""
        return not self._thread.is_alive()

    @property
    def deaths(self) -> tuple[Death, ...]:
        """Who was gone when, so far."""
        return tuple(self._deaths)

    @property
    def kills(self) -> Counter[str]:
        """How often each was killed, so far."""
        return Counter(death.target for death in self.deaths if death.planned)

    @property
    def own_ends(self) -> tuple[Death, ...]:
        """Processes that ended though nobody killed them."""
        return tuple(death for death in self.deaths if not death.planned)

    def stop(self) -> None:
        """Kill no more; return when all that was killed is started again."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def calm(self) -> None:
        """Kill no more; return when all that was killed runs and is ready.

        Raises:
            ProcessFailedError: One does not get ready.
        """
        self.stop()
        deadline = time.monotonic() + _CALM
        for process in self._stack.processes.values():
            process.wait_ready(max(1.0, deadline - time.monotonic()))

    def _rage(self) -> None:
        began = time.monotonic()
        while (self._kills and not self._stop.is_set()) or self._down:
            now = time.monotonic() - began
            while self._kills and self._kills[-1].at <= now and not self._stop.is_set():
                self._kill(self._kills.pop(), now)
            self._look(now)
            for target, (since, until, planned) in list(self._down.items()):
                if until <= now:
                    self._bring_back(target)
                    del self._down[target]
                    self._deaths.append(Death(target, since, time.time(), planned))
            time.sleep(_LOOK_EVERY)

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
