"""One job under a clock that the test sets, and what its steps work with."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import redis

from core.jobs.job import Job, JobId
from core.jobs.status import Status, Step
from core.redis.change import Change
from core.redis.store import JobStore
from core.storage.object_store import ObjectStore, StoredObject
from tests.contract.jobs import Clock, make_request
from tests.contract.scripted_server import Script, ScriptedServer, Wire, answer
from worker.clients.receiver import Receiver
from worker.deps import Deps

A = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")
#: Every status, as the place where a change finds a job.
ANYWHERE: Collection[Status] = frozenset(Status)


@dataclass(frozen=True)
class Bench:
    """The scripted server is the provider, all of its hosts, and whoever is called."""

    deps: Deps
    server: ScriptedServer
    redis: "redis.Redis"
    clock: Clock

    @property
    def store(self) -> JobStore:
        """Return the store."""
        return self.deps.store

    @property
    def job(self) -> Job:
        """Return the job as it stands."""
        job = self.store.load(A)
        assert job is not None
        return job

    @property
    def receiver(self) -> Receiver:
        """Return whom the job's callback goes to."""
        request = self.job.request
        return Receiver(request.tenant, request.callback_url or "")

    @property
    def neighbour(self) -> Receiver:
        """Return another URL of the same tenant on the same host."""
        return replace(self.receiver, url=f"{self.receiver.url}/other")

    @property
    def hooked(self) -> Deps:
        """Return the same, but for a public URL: the provider is asked for webhooks."""
        settings = self.deps.settings.model_copy(update={"public_url": "https://relay.example"})
        return replace(self.deps, settings=settings)

    @property
    def error(self) -> str:
        """Return the code that the job failed with."""
        error = self.job.error
        assert error is not None
        return str(error["code"])

    def accept(self, **fields: Any) -> None:
        """Have the job accepted; its slot is granted at once, and its deadline is in an hour."""
        now = self.clock.now
        usual: dict[str, Any] = {"created_at": now, "deadline_at": now + 3600}
        self.store.create(A, make_request(**(usual | fields)))

    def generating(self, **fields: Any) -> None:
        """Have the job be at the provider, where its task is t1."""
        known = {"provider_id": "t1", "polling_url": f"{self.server.url}/first", **fields}
        assert self.store.move(A, Status.GENERATING, Change(set=known))

    def storing(self, lives_for: float = 300) -> None:
        """Have the job's result be known, on the scripted server."""
        known: dict[str, str | int | float | None] = {
            "provider_id": "t1",
            "result_url": f"{self.server.url}/image",
            "result_expires_at": self.clock.now + lives_for,
        }
        assert self.store.move(A, Status.STORING, Change(set=known, wake=[Step.COLLECT]))

    def due_in(self, step: Step) -> float | None:
        """Return the seconds until a step is started, None where nobody watches it."""
        at = self.redis.zscore("due", f"{step}:{A}")
        return None if at is None else float(at) - self.clock.now

    def tasks(self, queue: str) -> list[str]:
        """Return the steps of the job whose tasks wait in a queue."""
        names = (str(task) for task in self.redis.lrange(f"rq:queue:{queue}", 0, -1))
        return [name.removeprefix(f"{A}-").split("-")[0] for name in names]

    def confirmations(self) -> int:
        """Return how often Redis was asked whether a write is on disk."""
        stats = self.redis.info("commandstats")
        return int(stats.get("cmdstat_waitaof", {"calls": 0})["calls"])

    def when_looked_at(self, then: Callable[[], object]) -> Deps:
        """Return the same, but for something that happens as the bucket is first looked into."""
        objects = Eventful(self.deps.objects, then)
        return replace(self.deps, objects=objects)


class Eventful(ObjectStore):
    """Has something happen just before it is looked into for the first time.

    Args:
        real: What is looked into.
        then: What happens.
    """

    def __init__(self, real: ObjectStore, then: Callable[[], object]) -> None:
        vars(self).update(vars(real))  # the same connections
        self._then: list[Callable[[], object]] = [then]

    def head(self, key: str) -> StoredObject | None:
        """Have it happen, and look."""
        while self._then:
            self._then.pop()()
        return super().head(key)


def said(status: int, body: object = None) -> Script:
    """Return a script that answers with JSON."""
    return answer(status, json.dumps(body or {}).encode())


def meanwhile(then: Callable[[], object], script: Script) -> Script:
    """Return a script during which something happens before it answers."""

    def run(wire: Wire) -> None:
        then()
        script(wire)

    return run
