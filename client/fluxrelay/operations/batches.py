"""Batches: made, asked for, listed, canceled, retried, awaited, their results read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from fluxrelay.operations.base import PATIENCE_WITH_MANY, idempotency
from fluxrelay.operations.downloads import Downloads
from fluxrelay.operations.values import (
    BatchOrId,
    Deadline,
    Life,
    Time,
    callback_of,
    deadline_of,
    given,
    id_of,
    job_filter,
    life_of,
    query,
)
from fluxrelay.operations.waiting import wait_for
from fluxrelay.protocol.body import Body, File, file_body, is_file, ndjson_body
from fluxrelay.protocol.effects import Flow, Stream
from fluxrelay.protocol.messages import Request, path
from fluxrelay.types.batches import Batch, BatchResult
from fluxrelay.types.decode import DecodeError
from fluxrelay.types.jobs import Job
from fluxrelay.types.reference import Page

Items = Iterable[Mapping[str, Any]] | File
_NDJSON = "application/x-ndjson"


class BatchOperations(Downloads):
    """What can be done with batches."""

    def create(
        self,
        items: Items,
        *,
        defaults: Mapping[str, Any] | None = None,
        on_error: str | None = None,
        callback: str | Mapping[str, Any] | None = None,
        behind_single_jobs: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        deadline: Deadline | None = None,
        results_key: str | None = None,
        idempotency_key: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Flow[Batch]:
        """Create a batch and return it; once it is returned, all of its jobs are on disk.

        Args:
            items: mappings with a `custom_id` and a job's fields (files in `input` as in
                `jobs.create`), or NDJSON: a `pathlib.Path`, an open file or bytes, which may begin
                with a line of defaults and options if none are given here.
            defaults: fields for all items that do not have them.
            on_error: `reject` (accept nothing if an item is invalid) or `skip` (accept the others,
                and list the invalid ones in `Batch.rejected`).
            callback: URL that is told of the batch's end.
            behind_single_jobs: False lets its jobs run among single jobs of the same priority.
            metadata: an object that is returned with the batch.
            deadline: of all jobs: seconds from now, or a time.
            results_key: the S3 key of the file of results.
            idempotency_key: your own name of this request; repeated with the same key, it returns
                the same batch. Without one a key is made, and kept over the client's retries.
            extra: further options.

        Raises:
            InvalidItemsError: Items are invalid; nothing was accepted.
        """
        options = {
            **given(
                defaults=defaults,
                on_error=on_error,
                callback=callback_of(callback),
                behind_single_jobs=behind_single_jobs,
                metadata=metadata,
                deadline=deadline_of(deadline),
                results_key=results_key,
            ),
            **(extra or {}),
        }
        body, headers = _body(items, options), idempotency(idempotency_key)
        answer = yield from self._post(
            "batches", body=body, headers=headers, patience=PATIENCE_WITH_MANY
        )
        return Batch.decode(answer.json())

    def get(self, batch: BatchOrId, *, wait: float | None = None) -> Flow[Batch]:
        """Return a batch as it stands, or once it has ended, if it does within `wait` seconds."""
        return Batch.decode((yield from self._look("batches", id_of(batch), wait=wait)).json())

    def wait(self, batch: BatchOrId, *, timeout: float | None = None) -> Flow[Batch]:
        """Return a batch once all of its jobs have ended; survives disconnects as `jobs.wait`.

        Raises:
            WaitTimeoutError: It has not ended in `timeout` seconds.
        """

        def look(seconds: int) -> Flow[Batch]:
            answer = yield from self._look("batches", id_of(batch), wait=seconds, once=True)
            return Batch.decode(answer.json())

        return (yield from wait_for(look, self._session.retries, timeout))

    def cancel(self, batch: BatchOrId) -> Flow[Batch]:
        """Cancel every job of a batch that can be canceled, and return the batch."""
        return (yield from self._change(batch, "cancel"))

    def retry(self, batch: BatchOrId) -> Flow[Batch]:
        """Run the failed items of a batch again, as a new batch, and return that one.

        Raises:
            ConflictError: None failed, or the batch still runs.
        """
        return (yield from self._change(batch, "retry"))

    def resend(self, batch: BatchOrId) -> Flow[Batch]:
        """Send the callback of a completed batch again, and return the batch.

        Raises:
            ConflictError: The batch runs, or has no callback.
        """
        return (yield from self._change(batch, "callback"))

    def jobs(
        self,
        batch: BatchOrId,
        *,
        status: str | Iterable[str] | None = None,
        model: str | None = None,
        created_after: Time | None = None,
        created_before: Time | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Flow[Page[Job]]:
        """Return jobs of a batch: one page. The filters are those of `jobs.list`."""
        chosen = job_filter(
            status=status,
            model=model,
            created_after=created_after,
            created_before=created_before,
            metadata=metadata,
        )
        params = query({**chosen, **given(limit=limit, cursor=cursor)})
        return (
            yield from self._page(Job, "batches", id_of(batch), "jobs", name="jobs", params=params)
        )

    def results(self, batch: BatchOrId) -> Stream[BatchResult]:
        """Yield what became of each item, in the order of the items: artifacts or an error.

        Raises:
            ConflictError: The batch is not completed; see `wait`.
        """
        return Stream(self._lines(_results(batch), lambda line: BatchResult.decode(_value(line))))

    def link(
        self, batch: BatchOrId, *, expires: Life | None = None, download: str | None = None
    ) -> Flow[str]:
        """Return a link to the file of a completed batch's results, as `jobs.link` does.

        Raises:
            ConflictError: The batch is not completed.
            FluxRelayError: The deployment makes no links.
        """
        params = query(given(expires=life_of(expires), download=download))
        return (yield from self._link(_results(batch, params)))

    def save(self, batch: BatchOrId, to: str | os.PathLike[str] = ".") -> Flow[Path]:
        """Save the file of a completed batch's results and return its path.

        Args:
            batch: the batch, or its id.
            to: path of the file, or a folder, in which it is named as in the bucket: one that is
                there, or that ends with a slash. Folders are made as needed.

        Raises:
            ConflictError: The batch is not completed.
            CorruptFileError: The file is not the one that was stored.
            OSError: The file cannot be written.
        """
        known = batch if isinstance(batch, Batch) and batch.ended else (yield from self.get(batch))
        stored = known.results
        return (
            yield from self._save(
                _results(known),
                to,
                name=stored.key if stored else None,
                sha256=stored.sha256 if stored else None,
            )
        )

    def list(
        self,
        *,
        callback: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Flow[Page[Batch]]:
        """Return batches, newest first: one page. `iterate` takes them all.

        Args:
            callback: state of the batch's callback: `dead` was given up.
            limit: batches per page, 1 to 100.
            cursor: `next_cursor` of the page before.
        """
        params = query(given(callback=callback, limit=limit, cursor=cursor))
        return (yield from self._page(Batch, "batches", name="batches", params=params))

    def _change(self, batch: BatchOrId, what: str) -> Flow[Batch]:
        place = ("batches", id_of(batch), what)
        return Batch.decode((yield from self._post(*place, patience=PATIENCE_WITH_MANY)).json())


def _body(items: Items, options: Mapping[str, Any]) -> Body:
    if is_file(items):
        before = json.dumps(options).encode() + b"\n" if options else b""
        return file_body(_NDJSON, items, before)
    mappings = cast("Iterable[Mapping[str, Any]]", items)
    return ndjson_body([*([options] if options else []), *mappings])


def _results(batch: BatchOrId, params: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request("GET", path("batches", id_of(batch), "results"), params, {"accept": "*/*"})


def _value(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError as error:
        raise DecodeError("a line of the results is not JSON") from error
