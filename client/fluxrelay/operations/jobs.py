"""Jobs: made, asked for, listed, canceled, retried, awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fluxrelay.operations.base import PATIENCE_WITH_MANY, idempotency
from fluxrelay.operations.files import FileOperations
from fluxrelay.operations.streams import event_stream
from fluxrelay.operations.values import (
    BatchOrId,
    Deadline,
    JobOrId,
    Time,
    callback_of,
    deadline_of,
    given,
    id_of,
    job_filter,
    query,
    whole_seconds,
)
from fluxrelay.operations.waiting import wait_for
from fluxrelay.protocol.effects import Flow, Stream
from fluxrelay.protocol.messages import path
from fluxrelay.types.jobs import CancelResult, Job
from fluxrelay.types.reference import Event, Page

_ENDS = frozenset({"job.succeeded", "job.failed", "job.canceled"})


class JobOperations(FileOperations):
    """What can be done with jobs."""

    def create(
        self,
        model: str,
        input: Mapping[str, Any],  # noqa: A002 - the service's name of it
        *,
        output: Mapping[str, Any] | None = None,
        callback: str | Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        priority: int | None = None,
        region: str | None = None,
        regenerate: bool | None = None,
        max_resubmits: int | None = None,
        deadline: Deadline | None = None,
        wait: float | None = None,
        idempotency_key: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Flow[Job]:
        """Create a job and return it; once it is returned, the job is on disk and will end.

        Args:
            model: name of the model, such as `flux-pro-1.1`.
            input: the model's parameters. A file may be a `pathlib.Path`, bytes or a file that is
                open for reading bytes, wherever the model takes base64; text is sent as it is.
            output: where to store the result, such as `{"key": "orders/1042.png"}`.
            callback: URL that is told of the end, or a mapping with `url` and `events`.
            metadata: an object that is returned with the job.
            priority: from -100 to 100; higher runs first.
            region: the provider's region, where the deployment offers several.
            regenerate: whether a result whose link expired is generated (and paid for) once more.
            max_resubmits: how often a submit whose outcome is unknown may be repeated.
            deadline: when the job ends as failed if it has no result: seconds from now, or a time.
            wait: whole seconds (60 at most) to wait for its end before it is returned.
            idempotency_key: your own name of this request; repeated with the same key, it returns
                the same job. Without one a key is made, and kept over the client's retries.
            extra: further fields of the body.
        """
        body = {
            "model": model,
            "input": input,
            **given(
                output=output,
                callback=callback_of(callback),
                metadata=metadata,
                priority=priority,
                region=region,
                regenerate=regenerate,
                max_resubmits=max_resubmits,
                deadline=deadline_of(deadline),
            ),
            **(extra or {}),
        }
        headers = idempotency(idempotency_key)
        if wait is not None:
            headers["prefer"] = f"wait={whole_seconds(wait)}"
        answer = yield from self._post("jobs", body=body, headers=headers, patience=wait or 0)
        return Job.decode(answer.json())

    def wait(self, job: JobOrId, *, timeout: float | None = None) -> Flow[Job]:
        """Return a job once it has ended, in whatever way; see `Job.raise_for_status`.

        Disconnects and restarts of the service are survived, up to five minutes.

        Args:
            job: the job, or its id.
            timeout: seconds; None waits for as long as it takes.

        Raises:
            WaitTimeoutError: The job has not ended in time.
        """

        def look(seconds: int) -> Flow[Job]:
            answer = yield from self._look("jobs", id_of(job), wait=seconds, once=True)
            return Job.decode(answer.json())

        return (yield from wait_for(look, self._session.retries, timeout))

    def cancel(self, job: JobOrId) -> Flow[Job]:
        """Cancel a job and return it; one that has ended stays as it is.

        Raises:
            ConflictError: The job's result is being stored, which is too late.
        """
        return Job.decode((yield from self._post("jobs", id_of(job), "cancel")).json())

    def cancel_many(
        self,
        confirm: int,
        *,
        all: bool = False,  # noqa: A002 - the service's name of it
        status: str | Iterable[str] | None = None,
        model: str | None = None,
        created_after: Time | None = None,
        created_before: Time | None = None,
        batch: BatchOrId | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Flow[CancelResult]:
        """Cancel every job that matches the filters (of `list`), or all jobs with `all`.

        Args:
            confirm: how many jobs you expect to be canceled. If it is another number, nothing is
                canceled and `ConfirmMismatchError.count` tells it.
            all: every job, whatever its status; needed where there is no other filter.
            status: as in `list`, like all that follow.
            model: name of a model.
            created_after: the earliest time of creation.
            created_before: the time of creation before which they were made.
            batch: the batch they belong to.
            metadata: values that their metadata must have.

        Raises:
            ConfirmMismatchError: Another number of jobs matches.
        """
        chosen = job_filter(
            status=status,
            model=model,
            created_after=created_after,
            created_before=created_before,
            batch=batch,
            metadata=metadata,
        )
        body = {**chosen, **({"all": True} if all else {}), "confirm": confirm}
        # Repeated after it took effect, it would tell of a mismatch.
        answer = yield from self._post(
            "jobs", "cancel", body=body, repeatable=False, patience=PATIENCE_WITH_MANY
        )
        return CancelResult.decode(answer.json())

    def retry(self, job: JobOrId) -> Flow[Job]:
        """Run a failed job again and return the new job; repeating it returns the same one.

        Raises:
            ConflictError: The job did not fail, or its files are gone.
        """
        return Job.decode((yield from self._post("jobs", id_of(job), "retry")).json())

    def events(self, job: JobOrId, *, last_event_id: str | None = None) -> Stream[Event]:
        """Yield an event for each status that a job takes, until it has ended.

        The first is its newest status, or with `last_event_id` the one after that event. A broken
        connection is made anew, and goes on after the last event.
        """
        place = path("jobs", id_of(job), "events")
        return Stream(event_stream(self._session, place, last_id=last_event_id, ends=_ENDS))

    def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        model: str | None = None,
        created_after: Time | None = None,
        created_before: Time | None = None,
        batch: BatchOrId | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Flow[Page[Job]]:
        """Return jobs, newest first: one page, which begins at `cursor`. `iterate` takes them all.

        Args:
            status: one status or several.
            model: name of a model.
            created_after: the earliest time of creation: a datetime with its zone, ISO 8601 text
                or Unix seconds.
            created_before: the time of creation before which they were made.
            batch: the batch they belong to.
            metadata: values that their metadata must have, for keys that the deployment indexes.
            limit: jobs per page, 1 to 100.
            cursor: `next_cursor` of the page before.
        """
        chosen = job_filter(
            status=status,
            model=model,
            created_after=created_after,
            created_before=created_before,
            batch=batch,
            metadata=metadata,
        )
        params = query({**chosen, **given(limit=limit, cursor=cursor)})
        return (yield from self._page(Job, "jobs", name="jobs", params=params))
