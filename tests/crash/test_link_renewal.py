"""A worker is killed at each line of a copy that has to ask the provider for a better link."""

import httpx

from core.jobs.status import Step
from tests.crash.conftest import CrashingProcesses
from tests.crash.crash_point import file_of
from tests.crash.kill_at_every_line import survives
from tests.e2e.conftest import Customer


def test_asking_for_a_better_link_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever it dies, the better link is found, and the image is stored, paid for once."""
    faults = f"{customer.stack.sandbox_url}/sandbox/faults"
    dead = {"odd_result": {"kind": "dead"}}
    httpx.post(faults, json=dead, trust_env=False, timeout=60).raise_for_status()
    try:
        lines = survives(customer, crashing, "collect", Step.COLLECT)
    finally:
        httpx.post(faults, json={}, trust_env=False, timeout=60).raise_for_status()

    files = set(map(file_of, lines))
    assert {"worker/results/link_renewal.py", "worker/results/provider_lookup.py"} <= files
    assert len(lines) > 350
