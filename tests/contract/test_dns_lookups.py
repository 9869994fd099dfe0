"""Names that nobody serves: looking one up neither uses up the attempt nor blocks others."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import ip_network

import httpx
import pytest

from core.jobs.failures import FailureCode
from core.jobs.status import CallbackState, Step
from stack.receiver import CallbackReceiver
from tests.conftest import Eventually
from tests.contract.harness import A, Bench
from tests.contract.jobs import Clock
from tests.contract.scripted_server import ScriptedServer
from worker.clients.callbacks import LOOKUPS_BUSY, CallbackClient, Delivery
from worker.clients.receiver import Receiver
from worker.network.guarded_http import guarded_client, open_client
from worker.network.name_lookups import Lookups, LookupsBusy, LookupTimeout, NameNotFound
from worker.steps.notify import notify

WELL = "well.example"
DAY = 86_400.0
#: Seconds that no test could wait for.
LONG = 600.0

Make = Callable[..., CallbackClient]


class Resolver:
    """Finds WELL at once; every other name hangs until the gate is opened, and then has none."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.errors: list[Exception] = []

    def __call__(self, host: str) -> list[str]:
        """Look a name up."""
        self.asked.append(host)
        if host == WELL:
            return ["127.0.0.1"]
        if self.errors:
            raise self.errors[0]
        self.gate.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    """Return a resolver whose gate is closed, and opened after the test."""
    made = Resolver()
    yield made
    made.gate.set()


@pytest.fixture
def make(ssl_context: ssl.SSLContext, resolver: Resolver) -> Make:
    """Return a function that makes a client of callbacks which looks names up there."""

    def client(timeout: float, connections: int = 8) -> CallbackClient:
        return CallbackClient(
            allowed=[ip_network("127.0.0.0/8")],
            timeout=timeout,
            connections=connections,
            ssl_context=ssl_context,
            resolve=resolver,
        )

    return client


def _post(client: CallbackClient, host: str, port: int = 1, tenant: str = "demo") -> Delivery:
    return client.post(f"http://{host}:{port}/callback", b"{}", {}, tenant=tenant)


def test_a_look_up_that_hangs_ends_with_its_attempt(make: Make, resolver: Resolver) -> None:
    """The attempt is over within its time limit, while the look-up is not, and says why."""
    delivery = _post(make(0.4), "dead.example")

    assert not resolver.gate.is_set()
    assert delivery == Delivery(error="the name lookup timed out")
    assert delivery.attempted
    assert not delivery.final


def test_dead_names_leave_places_for_others(
    make: Make, resolver: Resolver, receiver: CallbackReceiver, eventually: Eventually
) -> None:
    """Of eight callbacks to dead names two wait, six are put off, and others are told meanwhile."""
    client = make(LONG)
    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(_post, client, f"dead-{n}.example") for n in range(8)]
        eventually(lambda: sum(one.done() for one in futures) == 6)
        put_off = [one.result() for one in futures if one.done()]

        assert _post(client, WELL, receiver.port) == Delivery(status=204)
        assert {delivery.error for delivery in put_off} == {LOOKUPS_BUSY}
        assert not any(delivery.attempted for delivery in put_off)
        assert sum(one.done() for one in futures) == 6
        resolver.gate.set()
        waited = [one.result() for one in futures]

    told = [delivery.error for delivery in waited if delivery.error != LOOKUPS_BUSY]
    assert told == ["the name lookup failed: Name or service not known"] * 2


def test_dead_names_of_a_tenant_take_no_place_of_another(
    make: Make, resolver: Resolver, eventually: Eventually
) -> None:
    """Alice's one place for slow names is taken: for bob's slow name there is another one."""
    client, tenants = make(LONG, 4), ("alice", "bob")
    with ThreadPoolExecutor(4) as threads:
        calls = [
            [threads.submit(_post, client, f"{name}{n}.example", 1, name) for n in range(2)]
            for name in tenants
        ]
        eventually(lambda: sum(one.done() for of_one in calls for one in of_one) == 2)
        resolver.gate.set()

        errors = [{call.result().error for call in of_one} for of_one in calls]
    assert errors == [{LOOKUPS_BUSY, "the name lookup failed: Name or service not known"}] * 2


@pytest.mark.parametrize(("tenant", "most"), [("", 128), ("alice", 32)])
def test_more_names_than_threads_are_put_off(resolver: Resolver, tenant: str, most: int) -> None:
    """However many names hang, there are so many threads for them, and for each tenant, no more."""
    lookups = Lookups(resolve=resolver)
    lookups.caller.name = tenant
    for n in range(most):
        with pytest.raises(LookupTimeout):
            lookups.addresses(f"dead-{n}.example", 0.001)

    with pytest.raises(LookupsBusy):
        lookups.addresses("one-more.example", LONG)

    assert len(resolver.asked) <= most


def test_a_name_is_looked_up_once_at_a_time(resolver: Resolver) -> None:
    """All who need it share the look-up that is under way."""
    lookups = Lookups(resolve=resolver)
    for _ in range(5):
        with pytest.raises(LookupTimeout):
            lookups.addresses("dead.example", 0.02)

    assert resolver.asked == ["dead.example"]


def test_a_look_up_that_hangs_is_waited_for_once(resolver: Resolver) -> None:
    """Whoever comes when it has hung for long already needs no place for it: there is none."""
    clock = Clock()
    lookups = Lookups(resolve=resolver, clock=clock, slow_waits=0)
    with pytest.raises(LookupTimeout):
        lookups.addresses("dead.example", 0.02)
    with pytest.raises(LookupsBusy):
        lookups.addresses("dead.example", LONG)
    clock.now += 11

    with pytest.raises(LookupTimeout):
        lookups.addresses("dead.example", LONG)

    assert not resolver.gate.is_set()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "not known"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "Temporary"),
        (UnicodeError("label empty or too long"), "not a valid host name"),
        (RuntimeError("of another kind"), "RuntimeError"),
    ],
)
def test_a_failure_is_told_and_remembered_for_a_while(
    resolver: Resolver, error: Exception, words: str
) -> None:
    """The same name is not asked for again at once, but a little later it is."""
    clock = Clock()
    resolver.errors = [error]
    lookups = Lookups(resolve=resolver, clock=clock)

    for _ in range(3):
        with pytest.raises(NameNotFound, match=words):
            lookups.addresses("dead.example", LONG)
    assert resolver.asked == ["dead.example"]
    clock.now += 5
    with pytest.raises(NameNotFound, match=words):
        lookups.addresses("dead.example", LONG)

    assert len(resolver.asked) == 2


def test_a_name_that_is_found_again_is_used(resolver: Resolver) -> None:
    """A failure is forgotten once a look-up goes well; what went well is not remembered."""
    lookups = Lookups(resolve=resolver, clock=(clock := Clock()))
    resolver.errors = [OSError("away")]
    with pytest.raises(NameNotFound):
        lookups.addresses("dead.example", LONG)
    clock.now += 5

    assert lookups.addresses(WELL, LONG) == ["127.0.0.1"]
    assert lookups.addresses(WELL, LONG) == ["127.0.0.1"]
    assert resolver.asked == ["dead.example", WELL, WELL]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_address_is_not_looked_up(make: Make, resolver: Resolver, host: str) -> None:
    """What is an address already costs no thread."""
    _post(make(5), host)

    assert resolver.asked == []


def test_a_kept_connection_needs_no_look_up(
    make: Make, resolver: Resolver, server: ScriptedServer
) -> None:
    """Names are looked up as connections are opened: once each, here."""
    client = make(5)
    for _ in range(2):
        assert _post(client, WELL, server.port).delivered

    assert resolver.asked == [WELL] * len(server.requests)


@pytest.mark.parametrize("kind", ["guarded", "open"])
def test_downloads_and_the_provider_are_bounded_too(
    ssl_context: ssl.SSLContext, resolver: Resolver, kind: str
) -> None:
    """A delivery host's, or the provider's, dead name is a connection that was not made in time."""
    lookups = Lookups(resolve=resolver, clock=(clock := Clock()))
    with pytest.raises(LookupTimeout):
        lookups.addresses("dead.example", 0.02)
    clock.now += 9.9
    build = guarded_client if kind == "guarded" else open_client
    client = build(
        timeout=httpx.Timeout(LONG), connections=2, ssl_context=ssl_context, lookups=lookups
    )

    with client, pytest.raises(httpx.ConnectTimeout):
        client.get("http://dead.example/")

    assert not resolver.gate.is_set()


@pytest.fixture
def crowded(
    bench: Bench, make: Make, resolver: Resolver, eventually: Eventually
) -> Iterator[Bench]:
    """Return a bench whose one place for slow names is taken, and a job owed to another such."""
    client = make(LONG, 4)
    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(_post, client, f"dead-{n}.example") for n in range(2)]
        eventually(lambda: sum(one.done() for one in futures) == 1)  # the other has the place
        bench.accept(callback_url="http://other.example/callback")
        assert bench.store.fail(A, FailureCode.LOST, "for the test")
        yield replace(bench, deps=replace(bench.deps, callbacks=client))
        resolver.gate.set()


def test_a_callback_without_a_place_is_put_off(crowded: Bench) -> None:
    """No attempt is counted or logged, the host is not blamed, and it is due again soon."""
    notify(A, crowded.deps)

    job = crowded.job
    assert (job.callback_state, job.callback_attempts) == (CallbackState.PENDING, 0)
    assert job.callback_log == ()
    assert 0 < (crowded.due_in(Step.NOTIFY) or 0) < 5


def test_a_callback_without_a_place_has_its_attempt_at_its_end(crowded: Bench) -> None:
    """Its time is over: it waits for a place all the same, as none was tried for it yet."""
    crowded.clock.now += 2 * DAY

    notify(A, crowded.deps)

    assert crowded.job.callback_state is CallbackState.PENDING
    assert crowded.due_in(Step.NOTIFY) is not None


def test_a_dead_name_is_silence_of_its_host(bench: Bench, make: Make, resolver: Resolver) -> None:
    """After five such attempts the host is left alone, and each of them is in the log."""
    bench.accept(callback_url="http://dead.example/callback")
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    resolver.errors = [socket.gaierror(socket.EAI_NONAME, "Name or service not known")]
    deps = replace(bench.deps, callbacks=make(5))

    for _ in range(5):
        notify(A, deps)

    errors = {entry["error"] for entry in bench.job.callback_log}
    assert errors == {"the name lookup failed: Name or service not known"}
    assert bench.job.callback_attempts == 5
    assert deps.receivers.wait(Receiver("demo", "http://dead.example/other")) > 0
