"""A task that kills its worker each time it is run."""

import time
from dataclasses import dataclass

from core.jobs.status import Step
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from tests.crash.conftest import CrashingProcesses
from tests.crash.crash_point import ANYWHERE
from tests.crash.kill_at_every_line import small, started, stopped, task_waits
from tests.e2e.conftest import Customer
from worker.runtime.sweep import sweep_once


@dataclass
class AheadClock:
    """Returns the time, some seconds ahead."""

    ahead: float = 0.0

    def __call__(self) -> float:
        """Return Unix time in seconds."""
        return time.time() + self.ahead


def test_a_task_that_kills_its_worker_is_given_up(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """It is tried until its link dies, ever more seldom; then it is lost, and others go on."""
    names = ("worker.collect", "worker.sweep")
    stopped(customer, *names)
    worker = crashing(customer.stack, "collect", Step.COLLECT)
    waits = task_waits(customer, Step.COLLECT, "collect")
    settings = Settings.from_env(customer.stack.processes["worker.sweep"].environment, WORKER)
    clock, client = AheadClock(), connect(settings)
    store, tokens = JobStore(client, settings, clock), [""]
    [job_id] = customer.send(1, small)
    member, killed = f"{Step.COLLECT}:{job_id}", 0

    def swept() -> bool:
        tokens[0] = sweep_once(store, tokens[0])[0]
        return bool(tokens[0])

    customer.eventually(lambda: waits(job_id))
    while client.hget(f"job:{job_id}", "status") == "storing":
        if waits(job_id):
            assert worker.run(ANYWHERE).killed_at
            killed += 1
        due = client.zscore("due", member)
        clock.ahead += max(0.0, float(due or 0) - clock() + 0.01)
        customer.eventually(swept, 20)
    client.delete("sweep:lease")
    client.close()
    started(customer, *names)

    [job] = customer.wait_for_end([job_id], 30)
    assert (job["status"], job["error"]["code"]) == ("failed", "lost")
    assert 5 <= killed <= 60
    customer.judge(customer.wait_for_end(customer.send(3, small), 60))
