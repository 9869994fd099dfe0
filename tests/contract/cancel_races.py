"""What a cancel races with: jobs in each situation, what moves them, and their way to the end."""

import copy
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from core.jobs.job import Job, JobId
from core.jobs.status import TERMINAL, CallbackState, Status, Step
from core.operations.cancellation import Outcome
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from core.redis.scripts import Scripts
from tests.contract.harness import Bench, said
from tests.contract.jobs import make_request
from tests.contract.scripted_server import Script, ScriptedServer, answer
from worker.deps import Deps
from worker.runtime.sweep import sweep_once
from worker.steps.collect import collect
from worker.steps.poll import poll
from worker.steps.submit import submit
from worker.tasks import run

_STEPS: Final = {
    Status.SUBMITTING: (Step.SUBMIT, submit),
    Status.GENERATING: (Step.POLL, poll),
    Status.STORING: (Step.COLLECT, collect),
}
#: Of the lease that all sweeps share.
_TOKEN: Final = "race"
#: Longer than a doubt of the tests' settings lasts.
_PATIENCE: Final = 60.0


@dataclass(frozen=True)
class World:
    """A bench, and a host of results: the provider's answers do not depend on what is asked."""

    bench: Bench
    host: ScriptedServer

    @property
    def ready(self) -> Script:
        """Return the provider's answer that a task has its result."""
        result = {"sample": f"{self.host.url}/image"}
        return said(200, {"status": "Ready", "result": result, "cost": 4})

    def accept(self, job_id: JobId, **fields: Any) -> None:
        """Have a job accepted whose caller wants a callback."""
        now = self.bench.clock.now
        usual: dict[str, Any] = {"created_at": now, "deadline_at": now + 3600}
        request = make_request(**(usual | {"callback_url": "https://caller.example/"} | fields))
        self.bench.store.create(job_id, request)

    def job(self, job_id: JobId) -> Job:
        """Return a job as it stands."""
        job = self.bench.store.load(job_id)
        assert job is not None
        return job


@dataclass(frozen=True)
class Opponent:
    """What a cancel races with.

    Attributes:
        prepare: Brings a job into the situation.
        act: Moves it on, with a store of its own.
        answer: What the provider answers meanwhile.
    """

    prepare: Callable[[World, JobId], None]
    act: Callable[[World, JobId, Deps], object]
    answer: Callable[[World], Script]


def _queued(world: World, job_id: JobId) -> None:
    world.bench.redis.set("pool:default:paused", "by the test")
    world.bench.redis.set("sweep:lease", _TOKEN)
    world.accept(job_id, deadline_at=world.bench.clock.now)


def _posted(world: World, job_id: JobId) -> None:
    world.accept(job_id, deadline_at=world.bench.clock.now)
    posted = Change(set={"posting_at": world.bench.clock.now, "posting_by": "alive"})
    assert world.bench.store.change(job_id, {Status.SUBMITTING}, posted)


def _generating(world: World, job_id: JobId, **fields: Any) -> None:
    world.accept(job_id, **fields)
    known = Change(set={"provider_id": "t1", "polling_url": f"{world.bench.server.url}/first"})
    assert world.bench.store.move(job_id, Status.GENERATING, known)


def _overdue(world: World, job_id: JobId) -> None:
    _generating(world, job_id, deadline_at=world.bench.clock.now)


def _storing(world: World, job_id: JobId) -> None:
    _generating(world, job_id)
    result: dict[str, str | int | float | None] = {
        "result_url": f"{world.host.url}/image",
        "result_expires_at": world.bench.clock.now + 600,
    }
    change = Change(set=result, wake=[Step.COLLECT])
    assert world.bench.store.move(job_id, Status.STORING, change)


def _step(status: Status) -> Callable[[World, JobId, Deps], object]:
    step, function = _STEPS[status]
    return lambda _world, job_id, deps: run(step, function, job_id, deps)


def _webhook(kind: Kind) -> Callable[[World, JobId, Deps], object]:
    def tell(world: World, job_id: JobId, deps: Deps) -> object:
        url = f"{world.host.url}/image" if kind is Kind.READY else None
        later = world.bench.clock.now + 600
        notice = Notice(kind=kind, status="told", provider_id="t1", url=url, expires_at=later)
        return apply_notice(deps.store, job_id, notice, "webhook", b"{}")

    return tell


def _sweep(_world: World, _job_id: JobId, deps: Deps) -> object:
    return sweep_once(deps.store, _TOKEN)


def _said(status: int, body: object = None) -> Callable[[World], Script]:
    return lambda _world: said(status, body)


def _is_ready(world: World) -> Script:
    return world.ready


_TAKEN: Final = {"id": "t1", "polling_url": "https://api.example/x", "cost": 4}
_POSTS: Final = _step(Status.SUBMITTING)
_POLLS: Final = _step(Status.GENERATING)


def _submitting(world: World, job_id: JobId) -> None:
    world.accept(job_id)


#: By what they are; the part before the first space is the event that a cancel races with.
OPPONENTS: Final = {
    "submit that is accepted": Opponent(_submitting, _POSTS, _said(200, _TAKEN)),
    "submit to a busy provider": Opponent(_submitting, _POSTS, _said(429)),
    "submit that is rejected": Opponent(_submitting, _POSTS, _said(422, {"detail": "no"})),
    "submit that ends in doubt": Opponent(_submitting, _POSTS, _said(500)),
    "submit that names no task": Opponent(_submitting, _POSTS, lambda _w: answer(200, b"<html>")),
    "webhook of a result": Opponent(_generating, _webhook(Kind.READY), _is_ready),
    "webhook of a failure": Opponent(_generating, _webhook(Kind.FAILED), _is_ready),
    "webhook during the submit": Opponent(_posted, _webhook(Kind.PENDING), _is_ready),
    "poll of a result": Opponent(_generating, _POLLS, _is_ready),
    "poll of a failure": Opponent(_generating, _POLLS, _said(200, {"status": "Error"})),
    "poll that sees no end": Opponent(_generating, _POLLS, _said(200, {"status": "Pending"})),
    "collect": Opponent(_storing, _step(Status.STORING), _is_ready),
    "deadline in the queue": Opponent(_queued, _sweep, _is_ready),
    "deadline of a posted job": Opponent(_posted, _POSTS, _is_ready),
    "deadline at the provider": Opponent(_overdue, _POLLS, _said(200, {"status": "Pending"})),
}


class CountedScripts(Scripts):
    """Has something happen just before its k-th call, from 0.

    Args:
        real: What runs the scripts.
        k: Which call.
        then: What happens.
    """

    def __init__(self, real: Scripts, k: int, then: Callable[[], object]) -> None:
        vars(self).update(vars(real))  # the same connections
        self._left = k
        self._then = then
        self._lock_of_calls = threading.Lock()

    @property
    def happened(self) -> bool:
        """Whether there was such a call."""
        return self._left < 0

    def run(self, name: str, payload: dict[str, Any], *, durable: bool = False) -> Any:
        """Have it happen, if this is the call, and run the script."""
        with self._lock_of_calls:
            self._left -= 1
            is_it = self._left == -1
        if is_it:
            self._then()
        return super().run(name, payload, durable=durable)


def counting(deps: Deps, k: int, then: Callable[[], object]) -> tuple[Deps, CountedScripts]:
    """Return what a step works with, where something happens before its k-th script call."""
    store = copy.copy(deps.store)
    scripts = CountedScripts(deps.store.scripts, k, then)
    store.scripts = scripts
    return replace(deps, store=store), scripts


def bring_to_end(world: World, job_ids: Iterable[JobId]) -> None:
    """Let time pass, and run every step that is left; the provider has a result for each task."""
    world.bench.server.script = world.ready
    world.bench.clock.now += _PATIENCE
    for job_id in job_ids:
        for _ in range(4):
            step = _STEPS.get(world.job(job_id).task_status)
            if step:
                run(*step, job_id, world.bench.deps)


def assert_one_end(world: World, job_id: JobId, outcome: Outcome) -> None:
    """Assert that a job ended once, as its cancel was answered, and that nothing is left of it."""
    job, redis = world.job(job_id), world.bench.redis
    ends = [status for status, _ in job.timeline if status in TERMINAL]
    assert (ends, job.discarding) == ([job.status], None)
    allowed = {
        Outcome.CANCELED: {Status.CANCELED},
        Outcome.ENDED: {Status.SUCCEEDED, Status.FAILED},
        Outcome.STORING: {Status.SUCCEEDED},
    }
    assert job.status in allowed[outcome]
    assert (job.status is Status.SUCCEEDED) == bool(job.artifacts)
    assert (job.status is Status.FAILED) == bool(job.error)
    assert job.callback_state is CallbackState.PENDING
    tasks = [str(task) for task in redis.lrange("rq:queue:notify", 0, -1)]
    assert sum(task.startswith(job_id) for task in tasks) == 1
    due = [str(one) for one in redis.zrange("due", 0, -1)]
    assert [one for one in due if one.endswith(f":{job_id}") and not one.startswith("forget:")] == [
        f"notify:{job_id}"
    ]


def assert_nothing_is_held(world: World, jobs: int) -> None:
    """Assert that so many jobs ended, each counted once, and that no slot or place is taken."""
    redis = world.bench.redis
    counters = {str(name): float(value) for name, value in redis.hgetall("counters").items()}
    assert sum(value for name, value in counters.items() if name.startswith("ended:")) == jobs
    held = [str(key) for key in redis.scan_iter("slots:*") if redis.zcard(str(key))]
    waiting = [str(key) for key in redis.scan_iter("backlog:*") if redis.zcard(str(key))]
    assert (held, waiting) == ([], [])
