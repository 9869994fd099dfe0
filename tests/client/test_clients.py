"""The two clients beside each other: the same methods, their connections, and their limits."""

import asyncio
import inspect
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

import fluxrelay
from fluxrelay import AsyncFluxRelay, FluxRelay, RetryPolicy, UnreachableError
from fluxrelay.protocol.version import VERSION
from fluxrelay.running.methods import AsyncResource, Resource
from tests.client.conftest import AT_ONCE, MakeClient
from tests.client.scripted_service import JOB, ScriptedService, says
from tests.contract.scripted_server import Wire
from tests.doc_pages import ROOT


def methods(client: object) -> dict[str, Any]:
    """Return the methods of a client and of what it holds."""
    kinds = {name: value for name, value in vars(client).items() if not name.startswith("_")}
    return {
        f"{kind}.{name}": method
        for kind, holder in ({"": client} | kinds).items()
        for name, method in inspect.getmembers(holder, callable)
        if not name.startswith("_") and isinstance(holder, Resource | AsyncResource)
    }


def test_both_have_the_same_methods() -> None:
    """Each method is there twice, with the same arguments, and says what it does."""
    with FluxRelay("http://relay.example", "a-key") as client:
        for_threads = methods(client)
    for_async = methods(AsyncFluxRelay("http://relay.example", "a-key"))

    assert for_threads.keys() - {".close"} == for_async.keys() - {".aclose"}
    for name in for_threads.keys() - {".close"}:
        assert inspect.signature(for_threads[name]) == inspect.signature(for_async[name]), name
        assert for_threads[name].__doc__, name


def test_a_client_needs_few_packages() -> None:
    """The client depends on httpx and standardwebhooks alone, and its version is the code's."""
    project = tomllib.loads((ROOT / "client/pyproject.toml").read_text())

    names = {each.partition(">")[0] for each in project["project"]["dependencies"]}
    assert names == {"httpx", "standardwebhooks"}
    attribute = project["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert attribute == "fluxrelay.protocol.version.VERSION"
    assert fluxrelay.__version__ == VERSION


def test_what_is_packaged_is_there() -> None:
    """The package has the project's licence, the page that describes it, and its types."""
    project = tomllib.loads((ROOT / "client/pyproject.toml").read_text())["project"]

    (licence,) = project["license-files"]
    assert (ROOT / "client" / licence).read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (ROOT / "client" / project["readme"]).is_file()
    assert (ROOT / "client/fluxrelay/py.typed").is_file()


def test_a_service_that_says_nothing(make_client: MakeClient, service: ScriptedService) -> None:
    """A request is given up after the client's time; it may have reached the service."""
    service.says(Wire.stall)
    client = make_client(service.url, "a-key", timeout=0.1, retries=RetryPolicy(retries=0))

    with pytest.raises(UnreachableError, match="ReadTimeout") as caught:
        client.jobs.create("m", {})

    assert caught.value.sent
    assert caught.value.idempotency_key == service.requests[0].headers["idempotency-key"]


def test_threads_share_a_client(service: ScriptedService) -> None:
    """Many threads may use one client at a time."""
    service.says(says(200, JOB))

    with FluxRelay(service.url, "a-key") as client, ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(client.jobs.get, [JOB["id"]] * 40))

    assert {job.id for job in jobs} == {JOB["id"]}
    assert len(service.requests) == 40


def test_a_client_of_ones_own(service: ScriptedService) -> None:
    """An httpx client of the caller's is used, and left open."""
    service.says(says(200, JOB))

    with httpx.Client(headers={"x-mine": "1"}) as http:
        with FluxRelay(service.url, "a-key", http=http) as client:
            client.jobs.get(JOB["id"])
        assert not http.is_closed

    assert service.requests[0].headers["x-mine"] == "1"
    with pytest.raises(RuntimeError, match="closed"):
        client.jobs.get(JOB["id"])


def test_a_canceled_wait_ends_its_request(service: ScriptedService) -> None:
    """A task that is canceled while it waits leaves no connection behind."""
    asked, left = threading.Event(), threading.Event()

    def script(wire: Wire) -> None:
        asked.set()
        wire.stall()  # until the client hangs up
        left.set()

    service.says(script)

    async def main() -> None:
        async with AsyncFluxRelay(service.url, "a-key", retries=AT_ONCE) as client:
            waiting = asyncio.create_task(client.jobs.wait(JOB["id"]))
            assert await asyncio.to_thread(asked.wait, 60)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await asyncio.to_thread(left.wait, 60)

    asyncio.run(main())


def test_an_address_with_a_path(make_client: MakeClient, service: ScriptedService) -> None:
    """An address below a path of a proxy keeps it; ids cannot leave their place in a path."""
    service.says(says(200, JOB))

    make_client(f"{service.url}/relay/", "a-key").jobs.get("../models?a=b")

    assert service.requests[0].target == "/relay/v1/jobs/..%2Fmodels%3Fa%3Db"


def test_any_request(make_client: MakeClient, service: ScriptedService) -> None:
    """What has no method of its own is sent by `request`, with the key and all else."""
    service.says(says(200, {"status": "ready"}, "date: Sat, 21 Nov 2026 16:25:00 GMT"))
    client = make_client(service.url, "a-key")

    answer = client.request(
        "put",
        "/anything",
        params={"a": [1, "b"], "c": None},
        content=b"text",
        headers={"Content-Type": "text/plain", "X-More": "1"},
        idempotency_key="my-key",
    )

    assert (answer.status, answer.json()) == (200, {"status": "ready"})
    assert answer.headers["date"] == "Sat, 21 Nov 2026 16:25:00 GMT"
    (request,) = service.requests
    assert (request.method, request.target, request.body) == ("PUT", "/anything?a=1&a=b", b"text")
    wanted = {
        "authorization": "Bearer a-key",
        "content-type": "text/plain",
        "x-more": "1",
        "idempotency-key": "my-key",
        "user-agent": f"fluxrelay-python/{fluxrelay.__version__}",
    }
    assert wanted.items() <= request.headers.items()
