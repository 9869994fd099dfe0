"""Something due of every kind that the sweep acts on."""

from typing import Any, Final

from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.operations.account_status import AccountRegistry
from core.redis.change import Change
from core.redis.store import JobStore
from tests.contract.jobs import Clock, accept

QUEUES: Final = ("rq:queue:submit", "rq:queue:collect", "rq:queue:notify")
_CALLBACK: Final = "https://caller.example/callback"
#: Seconds between the moment at which it was laid out and the one at which it is due.
AGE: Final = 1800.0


def lay_out(store: JobStore, book: AccountRegistry, clock: Clock, client: Any) -> None:
    """Have something due of every kind, and all tasks lost; two slots, of a default account.

    0001 owes a callback, 0002 is to be collected, 0003 to be submitted, 0004 waits beyond its
    deadline, 0005 was never accepted but left inputs, 0006 holds a slot but is gone.
    """
    accept(store, "0001", callback_url=_CALLBACK)
    store.move(JobId("0001"), Status.FAILED)
    accept(store, "0002")
    store.move(JobId("0002"), Status.STORING, Change(wake=[Step.COLLECT]))
    accept(store, "0003")
    client.zadd("slots:default", {"0006": clock.now})
    accept(store, "0004", deadline_at=clock.now + 1)
    store.guard_inputs(JobId("0005"), clock.now)
    book.schedule_checks()
    client.delete(*QUEUES)
    clock.now += AGE
