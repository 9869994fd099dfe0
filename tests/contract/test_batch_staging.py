"""A batch is staged chunk by chunk: how often it waits for the disk, and what failures leave."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.batches.batch import BatchId
from core.errors import (
    BacklogFull,
    IdempotencyConflict,
    StorageUnavailable,
    StoreUnavailable,
)
from core.redis.change import Idempotency
from tests.contract.batch_desk import Desk
from tests.contract.batches import B, commit, load, stage

#: Bytes of the prompt of an item that makes a chunk of few.
LONG = 10_000
OTHER = BatchId("01a1ff02-1be0-7c55-a3d1-6f0b52c8e915")


@pytest.mark.parametrize(
    ("count", "fields", "chunks"),
    [
        (1, {}, 1),
        (200, {}, 1),
        (201, {}, 2),
        (450, {}, 3),
        (100, {"input": {"prompt": "p" * LONG}}, 2),
    ],
)
def test_a_batch_waits_for_the_disk_once_per_chunk(
    desk: Desk, count: int, fields: dict[str, Any], chunks: int
) -> None:
    """A chunk is 200 items or 512 KiB, one script and one fsync; the commit is one more."""
    before = desk.calls("waitaof")

    stored = desk.accept(count, **fields)

    assert desk.ran == ["stage_items"] * chunks + ["commit_batch"]
    assert desk.calls("waitaof") - before == chunks + 1
    assert stored.fresh
    assert load(desk.store).total == count


def test_what_finds_no_room_is_staged_no_longer(desk: Desk) -> None:
    """A caller who repeats a batch while the backlog is full fills Redis no further."""
    desk.with_files = 250

    with pytest.raises(BacklogFull):
        desk.accept(501)

    assert desk.left() == set()
    assert len(desk.deleted()) == 250
    assert desk.admin.hget("staging:bytes", "total") == "0"


def test_a_batch_whose_files_cannot_be_stored_is_forgotten(desk: Desk) -> None:
    """The bucket goes away in the second chunk: nothing stays staged, and all files are deleted."""
    desk.with_files, desk.copies = 450, 250

    with pytest.raises(StorageUnavailable):
        desk.accept(450)

    assert desk.ran == ["stage_items", "drop_staged"]
    assert desk.left() == set()
    assert desk.deleted() == {f"a{number:04}" for number in range(400)}  # the third was not reached


def test_a_commit_whose_outcome_is_unknown_takes_nothing_away(desk: Desk) -> None:
    """The batch was accepted, but its caller is not told: its items and files stay."""

    async def lost(run: Callable[[], Awaitable[Any]]) -> Any:
        await run()
        raise StoreUnavailable("the reply was lost")

    desk.with_files, desk.instead = 250, {"commit_batch": lost}

    with pytest.raises(StoreUnavailable):
        desk.accept(250)

    assert desk.ran[-2:] == ["commit_batch", "drop_staged"]
    assert load(desk.store).total == desk.admin.llen(f"batch:{B}:staged") == 250
    assert desk.deleted() == set()


def test_a_repeated_commit_takes_nothing_away(desk: Desk) -> None:
    """Its reply was lost and it is repeated at once: the answer is the batch, with its files."""

    async def twice(run: Callable[[], Awaitable[Any]]) -> Any:
        await run()
        return await run()

    desk.with_files, desk.instead = 250, {"commit_batch": twice}

    assert desk.accept(250).id == B

    assert desk.admin.llen(f"batch:{B}:staged") == 250
    assert desk.deleted() == set()


def test_a_commit_that_never_arrived_leaves_nothing(desk: Desk) -> None:
    """Redis hung up before the commit: what was staged is dropped, and the files are deleted."""

    async def never(_run: Callable[[], Awaitable[Any]]) -> Any:
        raise StoreUnavailable("Redis hung up")

    desk.with_files, desk.instead = 3, {"commit_batch": never}

    with pytest.raises(StoreUnavailable):
        desk.accept(3)

    assert desk.left() == set()
    assert desk.deleted() == {"a0000", "a0001", "a0002"}


def test_a_retry_stops_once_another_one_has_won(desk: Desk) -> None:
    """It stages no further chunk, deletes what it copied, and returns the batch that won."""
    stage(desk.store, "x", batch=OTHER)
    assert commit(desk.store, 1, batch=OTHER).fresh
    before = BatchId("01a1ff02-1be0-7c55-a3d1-6f0b52c8e900")

    async def overtaken(run: Callable[[], Awaitable[Any]]) -> Any:
        reply = await run()
        desk.admin.hset(f"batch:{before}", "retried_as", OTHER)
        return reply

    desk.retry_of, desk.with_files, desk.instead = before, 450, {"stage_items": overtaken}

    assert desk.accept(450).id == OTHER

    assert desk.ran == ["stage_items", "stage_items", "commit_batch"]
    assert desk.left() == {f"batch:{OTHER}:staged"}
    assert len(desk.deleted()) == 400


def test_a_request_that_is_repeated_meanwhile_is_staged_once(desk: Desk) -> None:
    """The second one stops once the first is accepted, and returns its batch."""
    key = Idempotency(key_hash="k", fingerprint="f")
    stage(desk.store, "x", batch=OTHER)

    async def overtaken(run: Callable[[], Awaitable[Any]]) -> Any:
        reply = await run()
        if desk.ran == ["stage_items"]:
            assert commit(desk.store, 1, batch=OTHER, idempotency=key).fresh
        return reply

    desk.idempotency, desk.with_files, desk.instead = key, 450, {"stage_items": overtaken}

    stored = desk.accept(450)

    assert (stored.id, stored.fresh) == (OTHER, False)
    assert desk.ran == ["stage_items", "stage_items", "commit_batch"]
    assert desk.left() == {f"batch:{OTHER}:staged"}
    assert len(desk.deleted()) == 400


def test_a_key_that_another_batch_took_meanwhile_is_a_conflict(desk: Desk) -> None:
    """The one that comes second is refused without staging the rest, and leaves nothing."""
    desk.idempotency = Idempotency(key_hash="k", fingerprint="g")
    stage(desk.store, "x", batch=OTHER)
    other = Idempotency(key_hash="k", fingerprint="f")
    assert commit(desk.store, 1, batch=OTHER, idempotency=other).fresh

    with pytest.raises(IdempotencyConflict):
        desk.accept(450)

    assert desk.ran == ["stage_items", "commit_batch", "drop_staged"]
    assert desk.left() == {f"batch:{OTHER}:staged"}
