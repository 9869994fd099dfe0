"""The steps of a batch: write its results file, then send its callback."""

import json
import logging
import tempfile
from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from typing import IO, Any, Final

from core.batches.batch import (
    DEFAULT_RESULTS_KEY,
    RESULTS_TYPE,
    Batch,
    BatchId,
    BatchStatus,
    results_key,
)
from core.batches.operations import STEPS, give_up
from core.batches.plans import BatchPlans
from core.batches.views import result_line
from core.errors import StorageUnavailable, StoreUnavailable, Transient
from core.jobs.status import CallbackState, Step
from core.log import event
from core.redis.change import Change
from core.storage.s3_errors import RequestRefused
from worker.deps import Deps
from worker.steps.notify import attempt_callback

_log = logging.getLogger(__name__)

#: Jobs that are read at a time.
_PAGE: Final = 200
#: Unexpected errors of one step after which it is given up.
_MAX_CRASHES: Final = 10


def run(
    step: Step, function: Callable[[BatchId, Deps], None], batch_id: BatchId, deps: Deps
) -> None:
    """Run a step of a batch and handle its errors, as `worker.tasks.run` does for jobs."""
    try:
        function(batch_id, deps)
    except StoreUnavailable as error:  # its lease makes it due again
        event(_log, "batch.failed", logging.ERROR, batch_id=batch_id, step=step, reason=str(error))
    except Transient as error:
        _put_off(step, batch_id, str(error), "tries", deps)
    except Exception:
        crashes = _put_off(step, batch_id, "internal error", f"crashes:{step}", deps)
        if crashes >= _MAX_CRASHES:
            why = "It was given up after repeated internal errors of FluxRelay"
            give_up(deps.store, step, batch_id, why)
        raise


def write_results(batch_id: BatchId, deps: Deps) -> None:
    """Store the results file of a batch whose jobs have all ended, and complete the batch.

    The file depends on the jobs alone, so a run that died after it stored the file is repeated with
    the same outcome: the object at the key is this batch's own, and counts as stored.

    Raises:
        StorageUnavailable: To be retried as long as its jobs' records are kept.
    """
    plans = BatchPlans(deps.store)
    batch = deps.store.execute(plans.load(batch_id))
    if batch is None or batch.status is not BatchStatus.ENDED:
        return
    with tempfile.TemporaryFile() as file:
        digest, size = _write(batch, file, deps)
        try:
            key = _store(batch, file, digest, deps)
        except StorageUnavailable:
            if deps.clock() < batch.keep_until:
                raise
            give_up(deps.store, Step.RESULTS, batch_id, "")
            return
    results = {"bucket": deps.objects.bucket, "key": key, "bytes": size, "sha256": digest.hex()}
    change = Change(set={"results": json.dumps(results)}, done=[Step.RESULTS])
    plan = plans.change(batch_id, BatchStatus.ENDED, change, BatchStatus.COMPLETED)
    moved = deps.store.execute(plan)
    event(_log, "batch.completed", batch_id=batch_id, items=batch.total, bytes=size, moved=moved)


def announce(batch_id: BatchId, deps: Deps) -> None:
    """Make one attempt at the callback of a completed batch; see `worker.steps.notify.notify`."""
    plans = BatchPlans(deps.store)
    batch = deps.store.execute(plans.load(batch_id))
    if batch is None:
        return
    if batch.callback_state is not CallbackState.PENDING:
        # Unless it was sent again since the record was read: that attempt must stay due.
        unless = {"callback_state": str(CallbackState.PENDING)}
        change = Change(unless=unless, done=[Step.ANNOUNCE])
        deps.store.execute(plans.change(batch_id, BatchStatus.COMPLETED, change))
        return
    attempt_callback(batch, deps)


def _write(batch: Batch, file: IO[bytes], deps: Deps) -> tuple[bytes, int]:
    """Write a line per item; return the SHA-256 and the number of bytes."""
    plans, digest, size = BatchPlans(deps.store), sha256(), 0
    jobs = iter(deps.store.execute(plans.job_ids(batch.id)))
    while some := list(islice(jobs, _PAGE)):
        states = deps.store.execute(plans.items(some))
        for job_id, state in zip(some, states, strict=True):
            line = result_line(job_id, state)
            digest.update(line)
            size += file.write(line)
    return digest.digest(), size


def _store(batch: Batch, file: IO[bytes], digest: bytes, deps: Deps) -> str:
    """Store the file once; return its key, which is the default if the caller's cannot be used."""
    request = batch.request
    for template in (request.results_key, DEFAULT_RESULTS_KEY):
        key = results_key(template, batch.id, request.tenant, request.created_at)
        try:
            if _is_stored(batch, key, file, digest, deps):
                return key
        except RequestRefused:
            if template == DEFAULT_RESULTS_KEY:
                raise
        event(_log, "batch.key_taken", logging.WARNING, batch_id=batch.id)
    raise StorageUnavailable(f"The key {key} holds another object")


def _is_stored(batch: Batch, key: str, file: IO[bytes], digest: bytes, deps: Deps) -> bool:
    """Store the file unless the key is taken; return whether the object there is this batch's."""
    sent: dict[str, Any] = {
        "content_type": RESULTS_TYPE,
        "metadata": {"job-id": batch.id},
    }
    if deps.objects.put_once(key, file, sha256=digest, **sent):
        return True
    there = deps.objects.head(key)
    if there is None or there.metadata.get("job-id") != batch.id:
        return False
    if not there.whole or there.sha256 != digest.hex():
        deps.objects.replace(key, file, sha256=digest, **sent)
    return True


def _put_off(step: Step, batch_id: BatchId, reason: str, counter: str, deps: Deps) -> int:
    """Have a step start again later; return how often that was."""
    tries = int(deps.store.read("hget", f"batch:{batch_id}", counter) or 0)
    wait = deps.wait(tries)
    change = Change(due={step: deps.clock() + wait}, add={counter: 1})
    deps.store.execute(BatchPlans(deps.store).change(batch_id, STEPS[step], change))
    event(
        _log,
        "batch.put_off",
        logging.WARNING,
        batch_id=batch_id,
        step=step,
        reason=reason,
        wait_seconds=wait,
    )
    return tries + 1
