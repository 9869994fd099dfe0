"""The parts of RQ that service and worker share: queues, task names, task records.

A task is enqueued by the same Redis script that changes the job (`core/redis/lua`), so no process
can die between the two. The script writes what `rq.Queue.enqueue` would write; a test compares
both, and RQ's version is pinned.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from rq.defaults import RQ_KEY_PREFIX

from core.jobs.status import Step
from core.timestamps import microseconds

#: The queue that runs each step. A worker process listens to one queue only: with two, RQ pops
#: tasks without a safety copy, and a killed worker loses them.
QUEUE_OF: Final[Mapping[Step, str]] = {
    Step.SUBMIT: "submit",
    Step.POLL: "submit",
    Step.COLLECT: "collect",
    Step.CLEANUP: "collect",
    Step.PROGRESS: "notify",
    Step.TEST_CALLBACK: "notify",
    Step.NOTIFY: "notify",
    Step.ACCOUNT: "submit",
    Step.RESULTS: "collect",
    Step.ANNOUNCE: "notify",
}
QUEUES: Final = tuple(sorted(set(QUEUE_OF.values())))

#: RQ's serializer, on both sides; with pickle, anyone who can write to Redis could run code in a
#: worker.
SERIALIZER: Final = "json"

#: Seconds without a renewal after which RQ considers a task abandoned. Steps are bounded by the
#: timeouts of their clients and hold a lease of our own; this only keeps RQ's registries tidy.
TASK_TIMEOUT: Final = 240
#: Retries that RQ makes when a task raises or its worker dies. Never 0: RQ would drop the task.
TASK_RETRIES: Final = 3
#: Seconds that RQ keeps the record of a finished, and of a failed, task.
RESULT_TTL: Final = 60
FAILURE_TTL: Final = 86_400
#: Seconds that RQ keeps the record of a task that nobody runs. RQ skips a task without record; the
#: sweep then starts its step again, since it is no longer queued.
TASK_TTL: Final = 86_400


def task_function(step: Step) -> str:
    """Return the dotted name of the function that runs a step; a test resolves each."""
    return f"worker.tasks.{step.value}"


def task_constants() -> dict[str, Any]:
    """Return the constant parts of RQ's task records, for the scripts."""
    fields = {
        "status": "queued",
        "timeout": TASK_TIMEOUT,
        "result_ttl": RESULT_TTL,
        "failure_ttl": FAILURE_TTL,
        "retries_left": TASK_RETRIES,
        "retry_intervals": "[0]",
    }
    return {
        "RQ": KEY_PREFIX,
        "TASK_TTL": TASK_TTL,
        "QUEUES": {step.value: queue for step, queue in QUEUE_OF.items()},
        "TASK_FIELDS": [str(part) for field in fields.items() for part in field],
        # RQ's JSON encoding of a call: function, instance, arguments, keyword arguments.
        "CALLS": {
            step.value: json.dumps([task_function(step), None, ["{job}"], {}]) for step in QUEUE_OF
        },
    }


def stamp(at: float) -> str:
    """Format Unix time in seconds as RQ does."""
    return microseconds(at)


KEY_PREFIX: Final = RQ_KEY_PREFIX
