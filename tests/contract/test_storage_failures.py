"""How a job ends whose image S3 does not take, and what its caller is told of it."""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import pytest
import redis

from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.status import Status, Step
from core.operations.account_status import AccountRegistry
from core.redis.change import Change
from core.scheduling import circuit_breakers
from core.settings.settings import WORKER, Settings
from stack.servers.seaweed import SeaweedFS
from tests.contract.jobs import make_request
from tests.contract.scripted_server import ScriptedServer, answer
from tests.outage.s3_proxy import Fault, S3Proxy
from worker.deps import Deps
from worker.runtime import wiring
from worker.steps.collect import collect
from worker.tasks import run

A = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")


@pytest.fixture
def proxy(seaweed: SeaweedFS) -> Iterator[S3Proxy]:
    """Run a proxy in front of the S3 server."""
    with S3Proxy() as running:
        running.upstream = seaweed.endpoint
        yield running


@pytest.fixture
def deps(
    environment: Mapping[str, str],
    proxy: S3Proxy,
    redis_client: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Deps]:
    """Return what steps work with; S3 is behind the proxy."""
    redis_client.ping()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    built = wiring.build(Settings.from_env(environment, WORKER))
    yield built
    built.objects.delete_below("ends/")
    built.objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.fixture
def image(server: ScriptedServer, picture: Callable[[str], bytes]) -> ScriptedServer:
    """Return a server that delivers an image."""
    server.script = answer(200, picture("PNG"))
    return server


def _job(deps: Deps) -> Job:
    job = deps.store.load(A)
    assert job is not None
    return job


def _storing(deps: Deps, image: ScriptedServer, key: str = "ends/{job_id}.{ext}") -> None:
    now = time.time()
    deps.store.create(A, make_request(created_at=now, deadline_at=now + 900, output_key=key))
    change = Change(set={"result_url": f"{image.url}/x", "result_expires_at": now + 300})
    assert deps.store.move(A, Status.STORING, change)


def _let_the_link_die(deps: Deps, image: ScriptedServer) -> None:
    dead = Change(set={"result_expires_at": time.time() - 1})
    assert deps.store.change(A, {Status.STORING}, dead)
    image.script = answer(403, b"expired")


def _error(deps: Deps) -> Any:
    return _job(deps).error or {}


def test_the_caller_is_told_what_s3_said(deps: Deps, image: ScriptedServer, proxy: S3Proxy) -> None:
    """The link is dead by then, but that is not why there is no image."""
    _storing(deps, image)
    proxy.order(Fault(status=503, code="SlowDown"))
    run(Step.COLLECT, collect, A, deps)
    assert _job(deps).status is Status.STORING
    _let_the_link_die(deps, image)

    run(Step.COLLECT, collect, A, deps)

    assert _error(deps)["code"] == FailureCode.STORAGE_FAILED
    assert "SlowDown" in _error(deps)["message"]


def test_s3_is_not_blamed_for_a_link_that_died_later(
    deps: Deps, image: ScriptedServer, proxy: S3Proxy
) -> None:
    """S3 failed once, then it was the download until the end: the result expired."""
    _storing(deps, image)
    proxy.order(Fault(status=503, code="SlowDown"))
    run(Step.COLLECT, collect, A, deps)
    proxy.clear()
    image.script = answer(500)
    run(Step.COLLECT, collect, A, deps)
    _let_the_link_die(deps, image)

    run(Step.COLLECT, collect, A, deps)

    assert _error(deps)["code"] == FailureCode.RESULT_EXPIRED


def test_a_bucket_that_cannot_be_looked_into_puts_the_end_off(
    deps: Deps, image: ScriptedServer, proxy: S3Proxy
) -> None:
    """The image may lie there: before that is known, nobody pays again or is told of a loss."""
    _storing(deps, image)
    proxy.order(Fault(code="SlowDown", methods=("PUT",)), Fault(code="Away", methods=("HEAD",)))
    run(Step.COLLECT, collect, A, deps)
    _let_the_link_die(deps, image)
    for _ in range(3):
        run(Step.COLLECT, collect, A, deps)
    assert _job(deps).status is Status.STORING
    proxy.clear()

    run(Step.COLLECT, collect, A, deps)

    assert _error(deps)["code"] == FailureCode.STORAGE_FAILED
    assert "SlowDown" in _error(deps)["message"]


def test_a_key_that_s3_cannot_hold_is_its_caller_s(deps: Deps, image: ScriptedServer) -> None:
    """One job's bad key ends that job, at once, and holds up nobody else's."""
    _storing(deps, image, key="ends/" + "z" * 800)

    run(Step.COLLECT, collect, A, deps)

    assert _error(deps)["code"] == FailureCode.STORAGE_FAILED
    assert "KeyTooLongError" in _error(deps)["message"]
    assert (
        AccountRegistry(deps.store, deps.settings.accounts).breaker_reason(circuit_breakers.STORAGE)
        is None
    )


def test_a_key_that_is_a_folder_by_now_is_its_caller_s(deps: Deps, image: ScriptedServer) -> None:
    """This server says in turn that it is taken and that nothing is there: the job ends at once."""
    body = io.BytesIO(b"x")
    digest = sha256(b"x").digest()
    deps.objects.put("ends/taken/deeper", body, sha256=digest, content_type="image/png")
    _storing(deps, image, key="ends/taken")

    run(Step.COLLECT, collect, A, deps)

    assert _error(deps)["code"] == FailureCode.STORAGE_FAILED
    assert "ends/taken" in _error(deps)["message"]
    assert (
        AccountRegistry(deps.store, deps.settings.accounts).breaker_reason(circuit_breakers.STORAGE)
        is None
    )


def test_a_key_of_the_operator_s_is_the_operator_s(
    deps: Deps, image: ScriptedServer, proxy: S3Proxy
) -> None:
    """Where the deployment's own keys are refused, images wait, and each counts for the breaker."""
    now = time.time()
    deps.store.create(A, make_request(created_at=now, deadline_at=now + 900))
    change = Change(set={"result_url": f"{image.url}/x", "result_expires_at": now + 300})
    assert deps.store.move(A, Status.STORING, change)
    proxy.order(Fault(status=400, code="KeyTooLongError"))

    run(Step.COLLECT, collect, A, deps)

    assert _job(deps).status is Status.STORING
    counted = deps.store.read("hgetall", f"breaker:{circuit_breakers.STORAGE}")
    assert counted["failures"] == "1"
    assert "KeyTooLongError" in counted["reason"]
