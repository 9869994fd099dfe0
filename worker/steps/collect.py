"""The collect step: copies a result into S3 before its URL expires."""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from core.errors import Permanent, StorageUnavailable, StoreUnavailable, Transient
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId, artifact_fields
from core.jobs.status import Status, Step
from core.log import event
from core.media.contents import IMAGE, Content
from core.operations.metrics import margin_counts
from core.provider.catalogue.entry import Media
from core.redis.change import Change
from core.scheduling import circuit_breakers
from core.storage.s3_errors import RequestRefused
from worker.clients.download import LinkRefused, Result, ResultGone
from worker.deps import Deps
from worker.results import link_renewal
from worker.results.regeneration import regenerate
from worker.results.stored_artifacts import (
    Artifact,
    find_artifact,
    find_artifacts,
    put_artifact,
    put_manifest,
    remove_leftovers,
    wanted,
)

_log = logging.getLogger(__name__)

#: Counts how often a video found no place. It asks again after some seconds, and more often as the
#: end of its link comes near.
_PLACE: Final = "place"
_MOST_DOUBLINGS: Final = 3
_SHORTEST_WAIT: Final = 0.1  # seconds


def collect(job_id: JobId, deps: Deps) -> None:
    """Store the result of a job whose status is `storing`.

    1. Return if the job has another status: another run has already stored it. Return as well if
       the result is a video, and other videos have all their places in this worker.
    2. Download the result and check that it is one complete image or video. If the link fails, ask
       the provider for a new one (`worker.results.link_renewal`).
    3. Put the file at the job's own key unless the key is taken; S3 verifies the checksum. An
       object of this job comes from a run that died before 5 and counts as stored.
       Do 2 and 3 for each further file of the result: a draft's video comes with its bundle.
    4. Put the manifest beside them.
    5. Record `succeeded`, which also schedules the callback.

    Raises:
        Transient: To be retried while the URL is valid.
        Permanent: The job fails.
    """
    job = deps.store.begin(Step.COLLECT, job_id)
    if job is None or job.status is not Status.STORING:
        return
    if not _is_video(job, deps):
        _store_result(job, deps)
        return
    with deps.video_places.place() as admitted:
        if admitted:
            _store_result(job, deps)
        else:
            _wait_for_place(job, deps)


def _is_video(job: Job, deps: Deps) -> bool:
    model = deps.settings.models.get(job.request.model)
    return model is not None and model.media is Media.VIDEO


def _wait_for_place(job: Job, deps: Deps) -> None:
    """Put a video off while others have all their places: no thread waits here with it."""
    wait = deps.wait(min(job.tries.get(_PLACE, 0), _MOST_DOUBLINGS))
    if (left := (job.result_expires_at or 0.0) - deps.clock()) > 0:
        wait = min(wait, max(_SHORTEST_WAIT, left / 4))
    change = Change(due={Step.COLLECT: deps.clock() + wait}, add={f"tries:{_PLACE}": 1})
    deps.store.change(job.id, {Status.STORING}, change)


def _store_result(job: Job, deps: Deps) -> None:
    """Copy the result, and decide what its failure means for the job."""
    try:
        _collect(job, deps)
    except StoreUnavailable:
        raise  # a failure of Redis tells nothing about the result, which may already be stored
    except (Transient, ResultGone, LinkRefused) as error:
        if isinstance(error, RequestRefused) and job.request.output_key:
            # Keys from the deployment's template are for the operator to fix; this key is the
            # caller's.
            message = f"S3 does not accept the key {job.request.output_key}: {error}"
            raise Permanent(FailureCode.STORAGE_FAILED, message) from error
        if deps.clock() >= (job.result_expires_at or 0):
            _give_up(job, error, deps)
        elif isinstance(error, ResultGone):
            # The URL should still be valid. An error of the host must not cost an image that is
            # paid for.
            raise Transient(f"the result's host answered {error} before the URL expired") from error
        elif isinstance(error, LinkRefused):
            raise Transient(str(error)) from error
        else:
            raise


def _collect(job: Job, deps: Deps) -> None:
    alive = _lease_renewer(job.id, deps)
    stored: list[Artifact] = []
    for role, (url, content) in wanted(job, deps).items():
        # What an earlier run has stored is not downloaded again if it may be large.
        looks = content is not IMAGE
        artifact = find_artifact(job, role, content, stored, deps) if looks else None
        if artifact is None:
            result = _download(job, url, content, alive, deps)
            if result is None:
                return
            with result.file:
                artifact = put_artifact(job, role, result, stored, deps, alive=alive)
        stored.append(artifact)
    _finish(job, stored, deps)


def _download(
    job: Job, url: str, content: Content, alive: Callable[[], None], deps: Deps
) -> Result | None:
    """Download a file; None if the job got better links, with which `collect` starts again."""
    try:
        _require_link(url, content)
        return deps.downloader.fetch(url, alive, content)
    except StoreUnavailable:
        raise
    except (Transient, ResultGone, LinkRefused) as error:
        lives = deps.clock() < (job.result_expires_at or 0)
        if lives and link_renewal.renew(job, error, deps, alive):
            return None
        raise


def _require_link(url: str, content: Content) -> None:
    """Check that the provider has named a link.

    Raises:
        LinkRefused: It has not.
    """
    if not url:
        raise LinkRefused(f"The provider's result has no link to the {content.name}")


def _finish(job: Job, stored: Sequence[Artifact], deps: Deps) -> None:
    """Put the manifest beside the stored artifacts, and record the success.

    Raises:
        StorageUnavailable: The manifest could not be stored; retried until the deadline.
    """
    bucket = {"bucket": deps.objects.bucket}
    artifacts = [{"role": artifact["role"], **bucket, **artifact} for artifact in stored]
    try:
        put_manifest(job, artifacts, deps)
    except StorageUnavailable as error:
        waits = not isinstance(error, RequestRefused)
        if waits and deps.clock() < max(job.request.deadline_at, job.result_expires_at or 0):
            raise
        # The result is stored, as was promised; a missing manifest does not fail the job.
        event(_log, "job.manifest_missing", logging.WARNING, job_id=job.id, reason=str(error))
    margin = (job.result_expires_at or 0) - deps.clock()
    change = Change(
        set={**artifact_fields(artifacts), "margin": round(margin, 3)},
        clear=["result_url", "more_urls", "storage_trouble"],
        count=margin_counts(margin),
        passed=[circuit_breakers.STORAGE],
    )
    moved = deps.store.move(job.id, Status.SUCCEEDED, change)
    event(
        _log,
        "job.collected",
        job_id=job.id,
        bytes=sum(artifact["bytes"] for artifact in artifacts),
        margin_seconds=margin,
        moved=moved,
    )


def _lease_renewer(job_id: JobId, deps: Deps) -> Callable[[], None]:
    """Return a function that renews the step's lease, at most three times per lease period."""
    every = deps.settings.watch_seconds / 3
    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > every:
            deps.store.renew(Step.COLLECT, job_id)
            last = time.monotonic()

    return alive


def _give_up(job: Job, error: Exception, deps: Deps) -> None:
    """Fail a job whose result is out of reach, unless earlier runs stored all of it."""
    try:
        stored = find_artifacts(job, deps)
    except StorageUnavailable:
        if deps.clock() < job.request.deadline_at:
            raise  # not known until the bucket is back
        stored = None
    if stored:
        _finish(job, stored, deps)
        return
    try:
        if link_renewal.renew(job, error, deps, _lease_renewer(job.id, deps)):
            return
    except LinkRefused as refused:
        error = refused
    # A refused host is for the operator to allow; a new link would lead there as well.
    if isinstance(error, LinkRefused) or not regenerate(job, error, deps):
        with contextlib.suppress(StorageUnavailable):  # a lifecycle rule removes them later
            remove_leftovers(job, deps)
        deps.store.fail(job.id, *link_renewal.failure_reason(job, error))
