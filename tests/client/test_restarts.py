"""A wait goes on over the death of the service that it waits at."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from fluxrelay import FluxRelay, RetryPolicy
from stack.servers.fluxrelay import service_process
from stack.servers.ports import Ports
from stack.stack import Stack
from tests.client.test_jobs import made


@pytest.mark.usefixtures("paused")
def test_a_wait_survives_the_death_of_the_service(
    relay: Stack, ports: Ports, tmp_path: Path
) -> None:
    """The service is killed while a job is awaited; started again, it tells of the job's end."""
    port, asked = ports.take(), threading.Event()
    variables = relay.processes["service"].environment | {"FLUXRELAY_PORT": str(port)}
    service = service_process(port, variables=variables, logs=tmp_path)
    url, policy = f"http://127.0.0.1:{port}", RetryPolicy(first=0.05, longest=0.2)
    try:
        service.start()
        service.wait_ready()
        with (
            httpx.Client(trust_env=False) as http,
            FluxRelay(url, relay.api_key, retries=policy, http=http) as client,
            ThreadPoolExecutor(1) as pool,
        ):
            job = made(client)
            http.event_hooks["request"].append(lambda _: asked.set())
            awaited = pool.submit(client.jobs.wait, job)
            assert asked.wait(60)
            service.kill()
            service.restart()
            assert not awaited.done()  # the job waits for its account
            with relay.redis() as connection:
                connection.delete("pool:default:paused")
            assert awaited.result(60).succeeded
    finally:
        service.stop()
