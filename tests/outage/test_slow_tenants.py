"""One tenant's receivers hang: the callbacks of another one, and its own good ones, go out."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from threading import Event
from typing import Final

import httpx
import pytest

from stack.options import StackOptions
from stack.receiver import Answer, CallbackReceiver
from tests.conftest import Eventually
from tests.contract.scripted_server import ScriptedServer, Wire
from tests.outage.conftest import RECOVERY, Town, opened
from tests.timing import FAST, FAST_SANDBOX

#: Threads for callbacks that are set, and the most that one tenant can have of all.
SET, MOST = 2, 3
#: Callbacks of alice that hang: more than there are threads.
OWED: Final = 8


class Gated(CallbackReceiver):
    """Answers at once, but below `/callbacks/hang` only once its gate is open."""

    def __init__(self) -> None:
        self.gate = Event()
        super().__init__()

    @property
    def hung(self) -> int:
        """How many callbacks hang, or did."""
        return sum("hang" in callback.path for callback in self.callbacks)

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Record a callback and return its answer, once that may be given."""
        answer = super().receive(path, headers, body)
        if "hang" in path:
            self.gate.wait(120)
        return answer

    def close(self) -> None:
        """Open the gate and stop listening."""
        self.gate.set()
        super().close()


@pytest.fixture(scope="module")
def tenants(eventually: Eventually) -> Iterator[tuple[Town, Town]]:
    """Run the product for alice and bob, with callbacks that may take longer than any test."""
    keys = {name: secrets.token_urlsafe(24) for name in ("alice", "bob")}
    variables = {
        **FAST,
        "FLUXRELAY_API_KEYS": ",".join(f"{name}:{key}" for name, key in keys.items()),
        "FLUXRELAY_WORKER_CONCURRENCY": str(SET),
        "FLUXRELAY_CALLBACK_TIMEOUT_SECONDS": "90",
        "FLUXRELAY_WATCH_SECONDS": "100",
    }
    options = StackOptions(relay_variables=variables, sandbox_variables=FAST_SANDBOX)
    with opened(options, eventually) as town, ExitStack() as clients:

        def of(key: str) -> Town:
            client = httpx.Client(
                base_url=town.stack.service_url,
                headers={"x-key": key},
                timeout=60,
                trust_env=False,
            )
            return replace(town, client=clients.enter_context(client))

        yield of(keys["alice"]), of(keys["bob"])


@pytest.fixture
def gated() -> Iterator[Gated]:
    """Run a receiver, one path of which hangs until the test is over."""
    with Gated() as receiver:
        yield receiver


def _owe(town: Town, urls: list[str]) -> None:
    """Have jobs end whose callbacks go to these URLs."""
    ids = [town.create(f"hangs {n}", callback={"url": url}) for n, url in enumerate(urls)]
    for job_id in ids:
        town.succeeds(job_id)


def _is_told(town: Town, url: str) -> None:
    """Have a job end, and its callback delivered."""
    job_id = town.create("well", callback={"url": url})
    town.eventually(lambda: town.job(job_id)["callback"]["state"] == "delivered", RECOVERY)


def test_another_path_of_the_same_host_is_called(tenants: tuple[Town, Town], gated: Gated) -> None:
    """Alice's path hangs; bob's, and one of her own, answer at once on the same host."""
    alice, bob = tenants
    _owe(alice, [f"{gated.url}/hang"] * OWED)
    bob.eventually(lambda: gated.hung == SET, RECOVERY)

    _is_told(bob, f"{gated.url}/ok")

    assert not gated.gate.is_set()
    assert gated.hung == SET


def test_many_hosts_of_one_tenant_that_hang(tenants: tuple[Town, Town], gated: Gated) -> None:
    """Alice names host after host; bob's callback goes out all the same."""
    alice, bob = tenants
    with ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer()) for _ in range(OWED)]
        for server in servers:
            server.script = Wire.stall
        _owe(alice, [server.url for server in servers])
        bob.eventually(lambda: sum(len(server.requests) for server in servers) == MOST, RECOVERY)

        _is_told(bob, f"{gated.url}/ok")

        assert sum(len(server.requests) for server in servers) == MOST


def test_a_good_host_beside_one_that_hangs(
    tenants: tuple[Town, Town], gated: Gated, receiver: CallbackReceiver
) -> None:
    """Alice's callbacks to her good host go out, and so do bob's to the one that hangs for her."""
    alice, bob = tenants
    _owe(alice, [f"{gated.url}/hang"] * OWED)
    bob.eventually(lambda: gated.hung == SET, RECOVERY)

    _is_told(alice, receiver.url)
    _is_told(bob, f"{gated.url}/ok")

    assert not gated.gate.is_set()
