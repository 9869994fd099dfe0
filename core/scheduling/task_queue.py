"""What of RQ both processes must know: queues, task names, and the record of a task.

A task is enqueued inside the same Redis script that changes the job (`core/redis/lua`), so there is
no moment between the two in which a process can die. The script writes what `rq.Queue.enqueue`
would write; a test compares the two, and RQ's version is pinned.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from rq.defaults import RQ_KEY_PREFIX

from core.jobs.status import Step
from core.timestamps import microseconds

#: The queue that runs a step. One worker process listens to one queue only: with two, RQ pops
#: without a safety copy and a killed worker loses the task.
QUEUE_OF: Final[Mapping[Step, str]] = {
    Step.SUBMIT: "submit",
    Step.POLL: "submit",
    Step.COLLECT: "collect",
    Step.CLEANUP: "collect",
    Step.NOTIFY: "notify",
    Step.ACCOUNT: "submit",
}
QUEUES: Final = tuple(sorted(set(QUEUE_OF.values())))

#: RQ's serializer, on both sides; pickle would let whoever writes to Redis run code in a worker.
SERIALIZER: Final = "json"

#: Seconds after which RQ takes a task for abandoned. Steps bound themselves by their clients'
#: time limits and hold a lease of our own; this only keeps RQ's books.
TASK_TIMEOUT: Final = 240
#: Tries RQ itself makes when a task raises or its worker dies. Never 0: RQ drops such a task.
TASK_RETRIES: Final = 3
#: Seconds that RQ keeps a finished, and a failed, task's own record.
RESULT_TTL: Final = 60
FAILURE_TTL: Final = 86_400
#: Seconds that RQ's record of a task lives if nobody runs it. A task that waits longer is skipped
#: by RQ, and its step is started again by `sweep`, as it is not in the queue any more.
TASK_TTL: Final = 86_400


def task_function(step: Step) -> str:
    """Return the dotted name of the function that runs a step; a test resolves each."""
    return f"worker.tasks.{step.value}"


def task_constants() -> dict[str, Any]:
    """Return RQ's record of a task, as far as it is known beforehand, for the scripts."""
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
        # RQ's JSON form of a call: function, instance, arguments, keyword arguments.
        "CALLS": {
            step.value: json.dumps([task_function(step), None, ["{job}"], {}]) for step in QUEUE_OF
        },
    }


def stamp(at: float) -> str:
    """Return Unix time in seconds as RQ writes it."""
    return microseconds(at)


KEY_PREFIX: Final = RQ_KEY_PREFIX
