"""Both clients, before the running product and before a service that a test scripts."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
import redis
from anyio.from_thread import start_blocking_portal

from fluxrelay import AsyncFluxRelay, FluxRelay, RetryPolicy
from stack.stack import Stack
from tests.client.blocking_client import blocking
from tests.client.scripted_service import ScriptedService

#: Retries at once, so that no test waits.
AT_ONCE = RetryPolicy(first=0, random=lambda: 0.0)

MakeClient = Callable[..., FluxRelay]


@pytest.fixture(params=["threads", "async"])
def make_client(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Return a function that makes a client; the async one blocks, so that one test serves both."""
    with ExitStack() as stack:
        if request.param == "threads":
            yield lambda url, key, **options: stack.enter_context(
                FluxRelay(url, key, **({"retries": AT_ONCE} | options))
            )
        else:
            portal = stack.enter_context(start_blocking_portal())

            def make(url: str, key: str, **options: object) -> FluxRelay:
                async def made() -> AsyncFluxRelay:
                    return AsyncFluxRelay(url, key, **({"retries": AT_ONCE} | options))  # type: ignore[arg-type]  # a test's options

                client = portal.call(made)
                stack.callback(portal.call, client.aclose)
                return blocking(client, portal)

            yield make


@pytest.fixture
def client(make_client: MakeClient, relay: Stack) -> FluxRelay:
    """Return a client of the running product."""
    return make_client(relay.service_url, relay.api_key)


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    """Run a service that answers as a test tells it to."""
    with ScriptedService() as scripted:
        yield scripted


@pytest.fixture
def scripted(make_client: MakeClient, service: ScriptedService) -> FluxRelay:
    """Return a client of the scripted service."""
    return make_client(service.url, "a-key")


@pytest.fixture
def paused(relay: Stack) -> Iterator[None]:
    """Let the account rest, so that every new job stays queued."""
    connection: redis.Redis = relay.redis()
    connection.set("pool:default:paused", "a test", ex=60)
    yield
    connection.delete("pool:default:paused")
    connection.close()


@pytest.fixture
def faults(relay: Stack) -> Iterator[Callable[..., None]]:
    """Return a function that puts faults of the provider in force; they are cleared afterwards."""
    with httpx.Client(base_url=str(relay.sandbox_url), timeout=60, trust_env=False) as sandbox:

        def put(**faults: object) -> None:
            sandbox.post("/sandbox/faults", json=faults).raise_for_status()

        yield put
        sandbox.delete("/sandbox/faults").raise_for_status()
