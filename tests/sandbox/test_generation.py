"""A task's run to its end, where a process cannot be made to show it quickly."""

import asyncio

import pytest

from sandbox.faults.injection import FaultInjection
from sandbox.generation.generation import Generator
from sandbox.requests.models import MODELS
from sandbox.requests.validation import validate
from sandbox.settings import Settings
from sandbox.statuses import Status
from sandbox.tasks.drafts import Drafts
from sandbox.tasks.hosts import Hosts
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.results import FileCache, Signer
from sandbox.tasks.tasks import Task, TaskBook
from sandbox.webhooks.delivery import WebhookSender
from sandbox.webhooks.outgoing import HttpSender

BODY = {"prompt": "memory", "width": 256, "height": 256}


def new_task(number: int) -> Task:
    """Return a task that takes no time."""
    request = validate(MODELS["flux-pro-1.1"], BODY)
    return Task(
        id=str(number),
        number=number,
        account="0" * 8,
        request=request,
        shown=BODY,
        seed=number,
        size=(256, 256),
        generation_seconds=0.0,
        created_at=1000.0,
    )


def new_studio(book: TaskBook, file_cache: FileCache, **environment: str) -> Generator:
    """Return a generator that caches its pictures."""
    settings = Settings.from_env({"SANDBOX_API_KEYS": "sandbox-key-1", **environment})
    ledger = Ledger(book, None, 1000.0)
    signer = Signer(b"key")
    webhook_sender = WebhookSender(settings, ledger, FaultInjection(), HttpSender())
    return Generator(
        settings=settings,
        book=book,
        ledger=ledger,
        file_cache=file_cache,
        drafts=Drafts(b"key", book, signer),
        webhook_sender=webhook_sender,
        hosts=Hosts(settings.public_url, {}),
        signer=signer,
    )


def new_book() -> TaskBook:
    """Return an empty book with the usual slots."""
    return TaskBook(Settings.from_env({"SANDBOX_API_KEYS": "sandbox-key-1"}).slots)


def test_a_picture_that_memory_dropped_is_drawn_again() -> None:
    """The bytes are those of the ledger, whether they were kept or not."""

    async def run() -> None:
        book, file_cache = new_book(), FileCache(capacity=1)
        generator = new_studio(book, file_cache)
        kept: dict[str, bytes] = {}
        for number in range(2):
            task = new_task(number)
            book.add(task)
            await generator.start(task)
            assert task.sample is not None
            kept[task.id] = (await generator.content(task, task.sample)).whole()
        first = next(iter(book))
        assert first.sample is not None
        assert file_cache.get(first.sample.token) is None
        assert (await generator.content(first, first.sample)).whole() == kept[first.id]
        await generator.close()

    asyncio.run(run())


def test_a_task_that_cannot_be_drawn_ends_and_frees_its_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mistake in drawing is the task's Error, not a task that stays active for ever."""

    def broken(*_: object) -> None:
        raise OSError("no canvas")

    async def run() -> None:
        book = new_book()
        generator = new_studio(book, FileCache())
        task = new_task(0)
        book.add(task)
        await generator.start(task)
        assert (task.status, book.active_now) == (Status.ERROR, 0)
        await generator.close()

    monkeypatch.setattr("sandbox.generation.generation.draw", broken)
    asyncio.run(run())


def test_a_range_of_seconds_is_spread_the_same_way_in_every_run() -> None:
    """Each task's time lies in the scaled range, differs from the next and is repeatable."""
    environment = {"SANDBOX_GENERATION_SECONDS": "0.2-1.5", "SANDBOX_TIME_SCALE": "10"}
    first, second = (new_studio(new_book(), FileCache(), **environment) for _ in range(2))
    times = [first.seconds(number) for number in range(50)]
    assert times == [second.seconds(number) for number in range(50)]
    assert all(2.0 <= seconds <= 15.0 for seconds in times)
    assert len(set(times)) == 50
