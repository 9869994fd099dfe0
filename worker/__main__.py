"""`python -m worker ROLE` runs one worker process. ROLE is submit, collect, notify or sweep.

The role may also come from FLUXRELAY_WORKER_ROLE. Its settings are variables: docs/operations.md.
Exits with 2 if the role or the settings are wrong.

`python -m worker dead-letters ...` is the operator's command (worker/commands/dead_letters.py);
`python -m worker dead-letters --help` tells of it.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import log
from core.errors import SettingsError, StoreUnavailable
from core.jobs.status import Step
from core.operations.account_status import AccountRegistry
from core.redis.durability import log_durability_in_background
from core.scheduling.task_queue import QUEUE_OF, QUEUES
from core.settings.settings import WORKER, Settings
from core.settings.variables import ROLE_VARIABLE, injected, unknown
from core.storage.aws_checks import credentials_problem
from worker import tasks
from worker.clients import bulkhead
from worker.runtime import wiring
from worker.runtime.bucket_watch import watch_in_background
from worker.runtime.rq_worker import ConcurrentWorker
from worker.runtime.startup_checks import check_settings
from worker.runtime.sweep import sweep_forever

SWEEP: Final = "sweep"
_DEAD_LETTERS: Final = "dead-letters"
_ROLES: Final = (*QUEUES, SWEEP)
_log = logging.getLogger("worker")
#: Seconds between attempts to connect to Redis.
_RECONNECT: Final = 1.0


def main(arguments: Sequence[str]) -> int:
    """Run a worker until it is told to stop, or a command; return the exit code."""
    if arguments and arguments[0] == _DEAD_LETTERS:
        from worker.commands import dead_letters  # noqa: PLC0415 - workers do not load its libraries

        return dead_letters.main(list(arguments[1:]))
    if {"-h", "--help"} & set(arguments):
        print((__doc__ or "").strip())  # noqa: T201 - for a person
        return 0
    role = arguments[0] if arguments else os.environ.get(ROLE_VARIABLE, "")
    problems = [f"{other}: the role is the only argument" for other in arguments[1:2]]
    if role not in _ROLES:
        allowed = ", ".join(_ROLES)
        problems.append(f"{ROLE_VARIABLE}, or the argument: must be one of {allowed}")
    if role != SWEEP and (missing := credentials_problem()):
        problems.append(missing)
    try:
        settings = Settings.from_env(os.environ, WORKER, problems, check_settings)
    except SettingsError as error:
        print("The worker cannot start:", *error.problems, sep="\n  ", file=sys.stderr)  # noqa: T201 - before logging is set up, for a person
        return 2
    log.set_up()
    log.event_of_injected(injected(os.environ))
    log.event_of_unknown(unknown(os.environ, Settings.names()))
    stop = threading.Event()
    _on_signal(stop.set)
    if role == SWEEP:
        _sweep(settings, stop)
    else:
        _work(role, settings, stop)
    log.event(_log, "worker.stopped", role=role)
    return 0


def _on_signal(action: Callable[[], object]) -> None:
    """Call `action` on SIGTERM and SIGINT."""

    def handle(_signum: int, _frame: FrameType | None) -> None:
        action()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def _sweep(settings: Settings, stop: threading.Event) -> None:
    log.event(_log, "worker.ready", role=SWEEP, pid=os.getpid())
    deps = wiring.build(settings)
    log_durability_in_background(deps.store.scripts.guarantee, stop)
    sweep_forever(deps.store, deps.accounts, settings.sweep_interval_seconds, stop)


def _work(queue: str, settings: Settings, stop: threading.Event) -> None:
    """Run one RQ worker after another, because RQ's own exits when Redis goes away."""
    deps = wiring.build(settings)
    wiring.install(deps)
    log_durability_in_background(deps.store.scripts.guarantee, stop)
    if queue == QUEUE_OF[Step.ACCOUNT]:
        _watch_accounts(deps.accounts)
    if queue == QUEUE_OF[Step.COLLECT]:
        watch_in_background(deps.objects, deps.store, stop)
    log.event(_log, "worker.ready", role=queue, pid=os.getpid(), tasks=tasks.__name__)
    concurrency = settings.worker_concurrency
    if queue == QUEUE_OF[Step.NOTIFY]:
        concurrency = bulkhead.threads(concurrency)
    while not stop.is_set():
        client = redis.Redis.from_url(
            settings.redis_url.reveal(), retry=Retry(NoBackoff(), 0), socket_connect_timeout=5
        )
        try:
            worker = ConcurrentWorker(
                queue,
                client,
                concurrency,
                grace=settings.worker_grace_seconds,
                lease=settings.watch_seconds,
                on_prefetch=deps.store.prefetched.put,
            )
            _run_worker(worker, stop)
        except (redis.RedisError, OSError) as error:
            log.event(_log, "worker.redis_away", logging.ERROR, reason=type(error).__name__)
        finally:
            client.close()
        stop.wait(_RECONNECT)


def _watch_accounts(accounts: AccountRegistry) -> None:
    try:
        accounts.schedule_checks()
    except StoreUnavailable as error:  # another worker, or the next start, does it
        log.event(_log, "worker.redis_away", logging.ERROR, reason=str(error))


def _run_worker(worker: ConcurrentWorker, stop: threading.Event) -> None:
    def leave() -> None:
        if stop.is_set():  # a second signal means: stop at once
            worker.exit_now()
        stop.set()
        worker.request_stop()

    _on_signal(leave)
    if stop.is_set():  # the signal came while the worker was being built
        worker.request_stop()
    worker.work(logging_level="WARNING")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
