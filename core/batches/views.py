"""The public views of a batch and of its results, shared by the API, callbacks and the file."""

import json
from collections.abc import Mapping
from typing import Any, Final

from core.batches.batch import Batch, BatchStatus
from core.jobs.status import CallbackState
from core.jobs.views import timestamp

#: Fields of a job's record that its line of the results file is made of.
ITEM_FIELDS: Final = ("custom_id", "status", "image", "artifacts", "error")


def batch_view(batch: Batch, now: float) -> dict[str, Any]:
    """Return the batch as its caller may see it.

    Args:
        batch: The batch.
        now: Unix time in seconds, for the estimate.
    """
    request, completed = batch.request, batch.status is BatchStatus.COMPLETED
    return {
        "id": batch.id,
        "status": "completed" if completed else "running",
        "created_at": timestamp(request.created_at),
        "ended_at": timestamp(batch.ended_at),
        "canceled_at": timestamp(batch.canceled_at),
        "estimated_end_at": timestamp(_estimate(batch, now)),
        "metadata": dict(request.metadata),
        "counts": {"total": batch.total, **batch.counts},
        "cost": batch.cost,
        "results": _results(batch),
        "callback": _callback(batch),
        "retry_of": request.retry_of,
        "retried_as": batch.retried_as,
    }


def result_line(job_id: str, fields: Mapping[str, str | None]) -> bytes:
    """Return one line of the results file.

    Args:
        job_id: The item's job.
        fields: `ITEM_FIELDS` of its record.
    """
    error, artifacts = fields["error"], fields["artifacts"]
    line: dict[str, Any] = {
        "custom_id": fields["custom_id"],
        "job_id": job_id,
        "status": fields["status"],
    }
    if artifacts:
        line["artifacts"] = [_artifact(one) for one in json.loads(artifacts)]
    elif image := fields["image"]:
        line["artifacts"] = [_artifact({"role": "sample", **json.loads(image)})]
    else:
        line["error"] = json.loads(error) if error else None
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _artifact(artifact: Mapping[str, Any]) -> dict[str, Any]:
    return {"uri": f"s3://{artifact['bucket']}/{artifact['key']}", **artifact}


def _estimate(batch: Batch, now: float) -> float | None:
    """Return when the last job may end, at the pace so far; None if nothing is known, or left."""
    ended = batch.ended
    if not ended or ended == batch.total:
        return None
    pace = (now - batch.request.created_at) / ended
    return now + pace * (batch.total - ended)


def _results(batch: Batch) -> dict[str, Any] | None:
    if not batch.results:
        return None
    return {"uri": f"s3://{batch.results['bucket']}/{batch.results['key']}", **batch.results}


def _callback(batch: Batch) -> dict[str, Any] | None:
    if batch.callback_state is CallbackState.NONE:
        return None
    return {
        "url": batch.request.callback_url,
        "state": batch.callback_state,
        "attempts": batch.callback_attempts,
        "log": [dict(entry) | {"at": timestamp(entry["at"])} for entry in batch.callback_log],
    }
