"""`python -m benchmarks.floors.stock_worker fork|simple QUEUE`: tasks under RQ's own workers.

What `worker.__main__` does, but with the worker that RQ ships: one task at a time, in a fork or
in the process itself. The clients are built before the fork, which favours it.
"""

import os
import sys

import redis
from rq import SimpleWorker, Worker

from core import log
from core.scheduling.task_queue import SERIALIZER
from core.settings.settings import WORKER, Settings
from worker.runtime import wiring

_CLASSES = {"fork": Worker, "simple": SimpleWorker}


def main(kind: str, queue: str) -> None:
    """Work until told to stop."""
    settings = Settings.from_env(os.environ, WORKER)
    log.set_up()
    wiring.install(wiring.build(settings))
    client = redis.Redis.from_url(settings.redis_url.reveal())
    worker = _CLASSES[kind]([queue], connection=client, serializer=SERIALIZER)
    sys.stdout.write('{"event": "worker.ready"}\n')
    sys.stdout.flush()
    worker.work(logging_level="WARNING")


if __name__ == "__main__":
    main(*sys.argv[1:])
