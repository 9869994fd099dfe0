"""What ends a batch whose step cannot go on: it must not stay unfinished for ever."""

import json
from typing import Final

from core.batches.batch import BatchId, BatchStatus
from core.batches.plans import BatchPlans
from core.jobs.status import CallbackState, Step
from core.redis.change import Change
from core.redis.store import CALLBACK_LOG, JobStore

#: Steps of a batch, each with the status in which it has work to do.
STEPS: Final = {Step.RESULTS: BatchStatus.ENDED, Step.ANNOUNCE: BatchStatus.COMPLETED}


def give_up(store: JobStore, step: Step, batch_id: BatchId, why: str) -> bool:
    """Complete a batch without its results file, or give up its callback.

    Args:
        store: The store.
        step: The step that is given up.
        batch_id: The batch.
        why: The reason, in words for the caller.

    Returns:
        False if it had moved on.
    """
    plans = BatchPlans(store)
    if step is Step.RESULTS:
        change = Change(done=[step])
        plan = plans.change(batch_id, BatchStatus.ENDED, change, BatchStatus.COMPLETED)
        return store.execute(plan)
    batch = store.execute(plans.load(batch_id))
    if batch is None or batch.callback_state is not CallbackState.PENDING:
        return False
    attempt = {"at": store.now(), "status": None, "error": why}
    log = json.dumps([*batch.callback_log, attempt][-CALLBACK_LOG:])
    change = Change(
        expect={"callback_state": str(CallbackState.PENDING)},
        set={"callback_log": log, "callback_state": str(CallbackState.DEAD)},
        done=[step],
    )
    return store.execute(plans.change(batch_id, BatchStatus.COMPLETED, change))
