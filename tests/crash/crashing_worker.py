"""A worker process that kills itself, with SIGKILL, at a chosen line of a step.

Run as `python -m tests.crash.crashing_worker QUEUE STEP [LARGE [FUNCTION [FILE...]]]` in a worker's
environment. Files of more than LARGE bytes go to S3 in parts. If FUNCTION is named, its lines alone
count, in each turn of a loop over `number`. If files are named, their lines alone count.

It reads a place per line of its input, says so, forks, and has the child run the tasks of QUEUE
until the child is about to execute that line of our code within STEP; there the child dies. It
answers each with one line of JSON: {"killed_at": "worker/steps/submit.py:61"}, or {"lines": [[…],
…]} when the tasks ended first: the distinct lines, those together that die the same death.
"""

import gc
import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import Any, Final

import redis
from PIL import Image

from core import log
from core.settings.settings import WORKER, Settings
from core.storage.object_store import ObjectStore
from tests.crash.crash_point import ROOT, CrashPoint, SocketUses
from worker import tasks
from worker.runtime import wiring
from worker.runtime.rq_worker import ConcurrentWorker
from worker.steps import batches

#: Where a step touches the world. Dying in a pure function is dying at the line that called it.
_OURS = (
    str(ROOT / "worker"),
    *(
        str(ROOT / "core" / name)
        for name in (
            *("redis/store.py", "redis/scripts.py"),
            *("storage/object_store.py", "storage/multipart_put.py"),
        )
    ),
)
#: What runs a step: of a job, and of a batch.
_RUNS: Final = (tasks.run.__code__, batches.run.__code__)
#: The smallest part that S3 takes.
_PART: Final = 5 * 1024 * 1024  # bytes


class Killer:
    """Has the lines of one step count, and no others.

    Args:
        step: Which.
        fatal: The line to die at.
        function: The function whose lines alone count, in each turn; empty: all of ours, once.
        files: The files whose lines alone count; empty: all of ours.
    """

    def __init__(
        self, step: str, fatal: CrashPoint, function: str = "", files: Sequence[str] = ()
    ) -> None:
        self._step = step
        self._counted = tuple(str(ROOT / name) for name in files) or _OURS
        self._fatal = fatal
        self._function = function
        self._running = False

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """Trace function (`sys.settrace`): follows our own frames within the step."""
        code = frame.f_code
        if code in _RUNS and event == "call":
            self._running = str(frame.f_locals["step"]) == self._step
        if not self._running or not code.co_filename.startswith(_OURS):
            return self.trace if code in _RUNS else None
        counts = self._function in ("", code.co_name) and code.co_filename.startswith(self._counted)
        if event == "line" and counts:
            turn = frame.f_locals.get("number") if self._function else None
            self._fatal.passes(code.co_filename, frame.f_lineno, turn)
        elif event == "return" and code in _RUNS:
            self._running = False
        return self.trace


def _child(settings: Settings, queue: str, killer: Killer, fatal: CrashPoint) -> None:
    threading.settrace(killer.trace)
    client = redis.Redis.from_url(settings.redis_url.reveal())
    prefetched = wiring.deps().store.prefetched
    worker = ConcurrentWorker(
        queue, client, 1, lease=settings.watch_seconds, on_prefetch=prefetched.put
    )
    worker.work(burst=True, logging_level="WARNING")
    fatal.tell_lines()


def main(queue: str, step: str, large: str = "", function: str = "", *files: str) -> None:
    """Fork one child per place that is read, until the input ends."""
    log.set_up("ERROR")
    Image.init()
    uses = SocketUses()
    uses.watch()
    settings = Settings.from_env(os.environ, WORKER)
    deps = wiring.build(settings)  # opens no connection, so it may be inherited
    if large:
        deps = replace(deps, objects=ObjectStore(settings.s3_bucket, large=int(large), part=_PART))
    wiring.install(deps)
    gc.freeze()  # else each child's first collection copies all of this process's memory
    _say("ready")
    for line in sys.stdin:
        _say("ordered")
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(readable)
            fatal = CrashPoint(line.strip(), writable, uses=uses)
            try:
                _child(settings, queue, Killer(step, fatal, function, files), fatal)
            finally:
                os._exit(0)
        os.close(writable)
        with os.fdopen(readable) as answers:
            answer = answers.read()
        os.waitpid(child, 0)
        _say(answer.strip() or json.dumps({"error": "it ended"}))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
