"""SIGTERM and SIGKILL to each process while jobs run."""

from typing import Any

import pytest

from tests.e2e.conftest import Customer

PROCESSES = ("service", "worker.submit", "worker.collect", "worker.notify", "worker.sweep")


def _small(number: int) -> dict[str, Any]:
    size = {"width": 256, "height": 256}
    return {"model": "flux-pro-1.1", "input": {"prompt": f"small {number}", **size}}


@pytest.mark.parametrize("name", PROCESSES)
def test_sigterm_during_load_ends_the_process_and_loses_nothing(
    customer: Customer, name: str
) -> None:
    """It ends by itself within 10 s, the rest goes on, and after its restart every job is well."""
    before = customer.send(30, _small)
    process = customer.stack.processes[name]

    process.request_stop()
    customer.eventually(lambda: not process.is_alive, 10)
    assert process.exit_code == 0, process.log_tail(20)
    others = [p for n, p in customer.stack.processes.items() if n != name]
    assert all(other.is_alive for other in others)
    process.start()
    process.wait_ready()
    after = customer.send(10, _small)

    customer.judge(customer.wait_for_end(before + after, 60))


@pytest.mark.parametrize("name", PROCESSES)
def test_sigkill_during_load_loses_nothing(customer: Customer, name: str) -> None:
    """A killed process, started again, leaves no job behind and none paid for twice."""
    before = customer.send(30, _small)
    process = customer.stack.processes[name]

    process.kill()
    process.start()
    process.wait_ready()
    after = customer.send(10, _small)

    customer.judge(customer.wait_for_end(before + after, 60))


def test_a_stop_while_the_service_answers_is_no_loss(customer: Customer) -> None:
    """Jobs that were answered 202 while the service was told to stop all end well."""
    service = customer.stack.processes["service"]
    accepted = customer.send(20, _small)

    service.request_stop()
    customer.eventually(lambda: not service.is_alive, 10)
    service.start()
    service.wait_ready()

    customer.judge(customer.wait_for_end(accepted, 60))
