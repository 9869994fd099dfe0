"""Receivers that hang, redirect or stay away: they get so many attempts, and hold up nobody."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from stack.options import StackOptions
from stack.receiver import Answer, CallbackReceiver
from tests.conftest import Eventually
from tests.contract.scripted_server import ScriptedServer, answer
from tests.outage.conftest import RECOVERY, Town, opened
from tests.timing import FAST, FAST_SANDBOX
from worker.clients.callbacks import BREAKER_OPEN, TENANT_BUSY

#: Callbacks owed to the receiver that hangs. Each attempt holds one of two threads for 2 s.
OWED: Final = 24


@pytest.fixture(scope="module")
def office(eventually: Eventually) -> Iterator[Town]:
    """Run the whole product with two threads for callbacks, which are tried for 15 s."""
    variables = {
        **FAST,
        "FLUXRELAY_WORKER_CONCURRENCY": "2",
        "FLUXRELAY_CALLBACK_GIVE_UP_SECONDS": "15",
    }
    options = StackOptions(relay_variables=variables, sandbox_variables=FAST_SANDBOX)
    with opened(options, eventually) as town:
        yield town


@pytest.fixture(scope="module")
def hanging() -> Iterator[CallbackReceiver]:
    """Run a receiver that takes every callback and never answers."""
    with CallbackReceiver() as receiver:
        receiver.script(then=Answer(delay_seconds=120))
        yield receiver


@pytest.fixture(scope="module")
def owed(office: Town, hanging: CallbackReceiver) -> list[str]:
    """Return jobs whose callbacks are all owed to the receiver that hangs."""
    ids = [office.create(f"hangs {n}", callback={"url": hanging.url}) for n in range(OWED)]
    for job_id in ids:
        office.succeeds(job_id)
    return ids


def _callback(office: Town, job_id: str) -> Any:
    return office.job(job_id)["callback"]


def _settled(office: Town, job_id: str, state: str) -> Any:
    office.eventually(lambda: _callback(office, job_id)["state"] == state, RECOVERY)
    return _callback(office, job_id)


def test_one_that_hangs_holds_up_no_other(
    office: Town, owed: list[str], hanging: CallbackReceiver, receiver: CallbackReceiver
) -> None:
    """Another's callback, behind many to the one that hangs, waits for a few of them at most."""
    assert len(owed) == OWED
    job_id = office.create("well", callback={"url": receiver.url})

    _settled(office, job_id, "delivered")

    assert len(hanging.callbacks) <= OWED // 2


def test_one_that_hangs_is_given_up(
    office: Town, owed: list[str], hanging: CallbackReceiver
) -> None:
    """Every callback of it ends as a dead letter after an attempt of its own, and hardly more."""
    logs = [_settled(office, job_id, "dead")["log"] for job_id in owed]

    errors = {entry["error"] for log in logs for entry in log}
    assert errors <= {"ReadTimeout", BREAKER_OPEN, TENANT_BUSY}
    attempts = [_callback(office, job_id)["attempts"] for job_id in owed]
    assert min(attempts) == 1
    assert sum(attempts) == len(hanging.callbacks) < 2 * OWED


def test_one_that_redirects(office: Town, receiver: CallbackReceiver) -> None:
    """The redirect is not followed; it is tried again until it is a dead letter."""
    with ScriptedServer() as server:
        server.script = answer(307, b"", f"location: {receiver.url}")
        job_id = office.create("moved", callback={"url": server.url})

        told = _settled(office, job_id, "dead")

    # On a busy machine an attempt may also end without an answer.
    assert {entry["status"] for entry in told["log"]} - {None} == {307}
    assert len(server.requests) >= 3
    assert not receiver.callbacks


def test_one_that_stays_away(office: Town, receiver: CallbackReceiver) -> None:
    """A receiver that is down for all the time there is ends as a dead letter; the job is well."""
    receiver.go_down()
    job_id = office.create("never up", callback={"url": receiver.url})

    told = _settled(office, job_id, "dead")

    errors = {entry["error"] for entry in told["log"]}
    assert "ConnectError" in errors
    assert errors <= {"ConnectError", BREAKER_OPEN}
    assert told["attempts"] >= 3
    assert office.job(job_id)["status"] == "succeeded"


def test_one_that_takes_its_time(office: Town, receiver: CallbackReceiver) -> None:
    """An answer that comes slowly, but in time, is a delivery: it is told once."""
    receiver.script(then=Answer(delay_seconds=1))
    job_id = office.create("slow", callback={"url": receiver.url})

    assert _settled(office, job_id, "delivered")["attempts"] == 1
    assert len(receiver.callbacks) == 1
