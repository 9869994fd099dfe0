"""Accepts batches: from a request to a batch on disk."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.requests import Request

from core.batches.batch import BatchRequest
from core.batches.plans import BatchPlans, StoredBatch
from core.errors import BacklogFull, IdempotencyConflict
from core.redis.change import Idempotency
from service.batches.checks import CheckedItems, ItemChecks, require_items
from service.batches.complaints import Complaints
from service.batches.reading import BatchReader
from service.batches.spooled_items import ReadBatch
from service.batches.staging import Staging
from service.http.problems import Problem, backlog_full
from service.intake.intake import Intake, hashed_key, idempotency_conflict
from service.intake.storage_threads import ThreadPool


class AcceptedBatch(NamedTuple):
    """A batch that is on disk, and which items it left out."""

    stored: StoredBatch
    complaints: Complaints


@dataclass(frozen=True, slots=True)
class BatchIntake:
    """Accepts batches."""

    reader: BatchReader
    intake: Intake
    staging: Staging
    #: Check items.
    threads: ThreadPool
    #: Most bytes of a body, and of the files of all items.
    most_bytes: int

    async def accept(self, request: Request[Any], tenant: str, key: str | None) -> AcceptedBatch:
        """Read, check and accept a batch.

        Args:
            request: The request.
            tenant: Whose batch it is.
            key: The `Idempotency-Key` header.

        Raises:
            Problem: The batch was not accepted.
            StoreUnavailable: The outcome is unknown.
            StorageUnavailable: The batch was not accepted.
        """
        key_hash = hashed_key(key) if key is not None else None
        async with self.reader.read(request, tenant) as read:
            checked = await self._check(read, tenant)
            idempotency = None
            if key_hash:
                idempotency = Idempotency(key_hash=key_hash, fingerprint=checked.fingerprint)
            try:
                stored = await self._known(tenant, idempotency)
                if not stored:
                    require_items(checked)
                    batch = _request(tenant, checked)
                    stored = await self.staging.accept(checked, batch, idempotency)
            except IdempotencyConflict:
                raise idempotency_conflict() from None
            except BacklogFull:
                raise backlog_full(self.intake.settings.max_backlog) from None
        return AcceptedBatch(stored, checked.complaints)

    async def _check(self, read: ReadBatch, tenant: str) -> CheckedItems:
        store = self.intake.store
        given = (read, tenant, self.intake, store, self.most_bytes)
        try:
            checks = await self.threads.run(ItemChecks, *given)
            while await self.threads.run(checks.check_some):
                if checks.needs_place:
                    await read.place.take()
        except OSError as error:
            detail = f"The batch cannot be stored here right now ({error.strerror}); try again"
            headers = {"retry-after": "5"}
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise Problem(status, "no-room", detail, headers=headers) from error
        return checks.finish()

    async def _known(self, tenant: str, idempotency: Idempotency | None) -> StoredBatch | None:
        """Return the batch that the key created before; its items are not staged again."""
        if not idempotency:
            return None
        plans = BatchPlans(self.intake.store)
        return await self.intake.async_store.execute(plans.lookup(tenant, idempotency))


def _request(tenant: str, checked: CheckedItems) -> BatchRequest:
    options = checked.options
    metadata: Mapping[str, Any] = options.metadata
    return BatchRequest(
        tenant=tenant,
        callback_url=options.callback_url,
        results_key=options.results_key,
        metadata=metadata,
        created_at=round(time.time(), 3),
    )
