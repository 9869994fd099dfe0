"""Regenerates a result that expired before it was stored, if the caller agreed to pay again."""

import logging
from typing import Final

from core.jobs.job import Job
from core.jobs.status import Status, Step
from core.log import event
from core.operations.metrics import REGENERATIONS
from core.redis.change import Change
from worker.deps import Deps

_log = logging.getLogger(__name__)
#: Fields about one task at the provider; the seed is kept for the next task.
_TASK_FIELDS: Final = (
    *("posting_at", "posting_by", "provider_id", "polling_url", "cost"),
    *("unusable_since", "tries:unusable", "ask_at", "tries:ask", "waiting"),
    *("input_megapixels", "output_megapixels", "result_url", "more_urls", "result_expires_at"),
    "storage_trouble",
    *("tries:poll", "tries:crash:poll", "tries:crash:collect"),
)


def regenerate(job: Job, error: Exception, deps: Deps) -> bool:
    """Have the image made again, at most once, if the caller agreed to pay for that."""
    wanted = job.request.regenerate and not job.regenerations
    wanted = wanted and job.request.model in deps.settings.models  # otherwise the model is unknown
    if not wanted or deps.clock() >= job.request.deadline_at:
        return False
    change = Change(
        # Late answers about the first task must not be taken for answers about the second.
        set={
            "expired_id": job.provider_id,
            "expired_url": job.result_url,
            "expired_cost": job.cost,
        },
        expect={"regenerations": ""},
        add={"regenerations": 1},
        count={REGENERATIONS: 1},
        clear=[*_TASK_FIELDS, f"tries:{Step.COLLECT}"],
        due={Step.DEADLINE: job.request.deadline_at},
    )
    moved = deps.store.move(job.id, Status.QUEUED, change, was=[Status.STORING])
    event(
        _log,
        "job.regenerated",
        logging.WARNING,
        job_id=job.id,
        reason=str(error),
        cost=job.cost,
        moved=moved,
    )
    return True
