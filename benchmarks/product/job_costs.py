"""`python benchmarks/product/job_costs.py`: what one job costs Redis.

It counts in the source tree on `PYTHONPATH`.

A script and not a module, so that one counter counts several revisions: all it imports is of the
tree that is counted. Reads what to do as one line of JSON, writes counts per job as JSON.
"""

import json
import sys
import time
from typing import Any

import redis
import rq

from benchmarks.probes.redis_costs import Costs, counted
from benchmarks.product import worker_sets
from benchmarks.product.deployment import NO_WORKERS, Deployment

PROMPT = "bytes=100000 seconds=0"
#: The tasks of a job that goes well: submit, collect, notify.
_TASKS = 3


def main() -> None:
    """Count what the input asks for."""
    order = json.loads(sys.stdin.readline())
    count = _empty_tasks if order["what"] == "empty tasks" else _jobs
    sys.stdout.write(json.dumps(count(order["count"], order["idle_seconds"])))


def _jobs(count: int, idle_seconds: float) -> dict[str, Any]:
    """Run whole jobs, with one worker process per queue."""
    deployment = Deployment(slots=1000, concurrency=16, workers={"sweep": 1})
    with deployment, worker_sets.ours(deployment):
        return _each(of_jobs(deployment, count, idle_seconds), count)


def of_jobs(deployment: Deployment, count: int, idle_seconds: float) -> Costs:
    """Return what so many jobs cost the deployment's Redis; what goes on anyway is taken off."""
    deployment.wait_ended(deployment.post(16, PROMPT), 30)
    with counted(deployment.redis) as idle:
        time.sleep(idle_seconds)
    with counted(deployment.redis) as busy:
        jobs = deployment.post(count, PROMPT)
        time.sleep(max(1.0, count / 40))  # looking for the end costs Redis, too
        deployment.wait_ended(jobs, 60)
    return busy.less(idle)


def _empty_tasks(count: int, _idle_seconds: float) -> dict[str, Any]:
    """Run tasks that do nothing, by RQ as it comes, as many as that many jobs have."""
    with Deployment(workers=NO_WORKERS) as deployment:
        queue = rq.Queue("empty", connection=redis.Redis.from_url(deployment.stack.valkey.url))
        with counted(deployment.redis) as costs:
            for _ in range(_TASKS * count):
                queue.enqueue("math.sqrt", 1)
            worker = rq.Worker([queue], connection=queue.connection)
            worker.work(burst=True, logging_level="WARNING")
        return _each(costs, count)


def _each(costs: Costs, count: int) -> dict[str, Any]:
    commands = {name: calls / count for name, calls in costs.commands.items()}
    return {"commands": commands, "reads": costs.reads / count, "cpu": costs.cpu / count}


if __name__ == "__main__":
    main()
