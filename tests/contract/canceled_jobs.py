"""Canceled jobs whose tasks go on, and what must hold of them at any time."""

from typing import Any, Final

from core.jobs.status import Status, Step
from core.operations.cancellation import cancel
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from tests.contract.harness import A, Bench, meanwhile, said
from tests.contract.scripted_server import Script
from worker.deps import Deps
from worker.steps.submit import submit
from worker.tasks import run

CALLBACK: Final = "https://caller.example/done"
#: What a worker records before it posts a job.
POSTED: Final = Change(set={"posting_at": 1.0, "posting_by": "alive"})


def holds_slot(bench: Bench) -> bool:
    """Return whether the job holds a slot."""
    return bench.redis.zscore("slots:default", A) is not None


def record(bench: Bench) -> dict[str, str]:
    """Return the job's record."""
    return {str(name): str(value) for name, value in bench.redis.hgetall(f"job:{A}").items()}


TAKEN: Final = said(200, {"id": "t1", "polling_url": "https://api.example/x", "cost": 5})
READY: Final = Notice(
    kind=Kind.READY,
    status="Ready",
    provider_id="t1",
    url="https://x/i",
    expires_at=2e9,
    cost=6.0,
    seed=7,
)
FAILED: Final = Notice(kind=Kind.FAILED, status="Error", provider_id="t1", message="m")
#: Seconds of a first doubt, in the tests' settings.
DOUBT: Final = 6.0
#: Longer than any task of the tests' settings may take.
A_DAY: Final = 86_400.0


def over(bench: Bench) -> bool:
    """Return whether the task is no longer waited for; the job must be canceled, and told once."""
    job = bench.job
    assert (job.status, job.error, job.artifacts, job.result_url) == (
        Status.CANCELED,
        None,
        (),
        None,
    )
    assert bench.tasks("notify") == [Step.NOTIFY]
    assert Step.COLLECT not in bench.tasks("collect")
    assert holds_slot(bench) is (job.discarding is not None)
    if job.discarding is None:
        steps = (Step.SUBMIT, Step.POLL, Step.COLLECT, Step.DEADLINE)
        assert [bench.due_in(step) for step in steps] == [None] * len(steps)
        assert (job.doubt_reason, job.doubt_until, job.taken) == (None, None, False)
    return job.discarding is None


def discarding(bench: Bench, **fields: Any) -> None:
    """Have the job be canceled while its task t1 is at the provider."""
    bench.accept(callback_url=CALLBACK)
    bench.generating(**fields)
    cancel(bench.store, A)


def canceled_in_doubt(bench: Bench, **fields: Any) -> None:
    """Have the job be canceled while nobody knows whether its submit was accepted."""
    bench.accept(callback_url=CALLBACK)
    posted: dict[str, Any] = {"posting_at": bench.clock.now, "posting_by": "died"}
    bench.store.change(A, {Status.SUBMITTING}, Change(set=posted | fields))
    cancel(bench.store, A)


def submit_during_cancel(bench: Bench, script: Script, deps: Deps | None = None) -> None:
    """Post the job, which is canceled after the provider read it and before it answers."""
    bench.accept(callback_url=CALLBACK, max_resubmits=3)
    bench.server.script = meanwhile(lambda: cancel(bench.store, A), script)
    run(Step.SUBMIT, submit, A, deps or bench.deps)
