"""S3 that is overloaded, full, silent or broken: images wait, and few more are made meanwhile."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from stack.options import StackOptions
from tests.conftest import Eventually
from tests.outage.conftest import RECOVERY, Town, opened
from tests.outage.s3_proxy import Fault, Manner, S3Proxy
from tests.timing import FAST

#: A result lives for 12 s here.
SANDBOX: Final = {"SANDBOX_TIME_SCALE": "0.02", "SANDBOX_GENERATION_SECONDS": "25"}
SLOTS: Final = 4
#: What a job's image meets, twice or, where that takes a while, once.
SLIPS: Final = {
    "slow-down": Fault(status=503, code="SlowDown", times=2),
    "full": Fault(status=507, code="InsufficientStorage", times=2),
    "wrong-checksum": Fault(status=400, code="BadDigest", times=2),
    "wrong-checksum-too": Fault(status=400, code="XAmzContentChecksumMismatch", times=2),
    "silent": Fault(Manner.HANG, times=1),
    "reset": Fault(Manner.RESET, times=2),
    "stored-unsaid": Fault(Manner.SWALLOW, times=1),
    "unseen": Fault(status=503, code="SlowDown", methods=("HEAD",), times=1),
}


@pytest.fixture(scope="module")
def proxy() -> Iterator[S3Proxy]:
    """Run a proxy for S3, whose server comes later."""
    with S3Proxy() as running:
        yield running


@pytest.fixture(scope="module")
def coast(proxy: S3Proxy, eventually: Eventually) -> Iterator[Town]:
    """Run the whole product with S3 behind the proxy."""
    variables = {
        **FAST,
        "AWS_ENDPOINT_URL_S3": proxy.url,
        "FLUXRELAY_STORAGE_TIMEOUT_SECONDS": "1",
        "FLUXRELAY_SLOTS": str(SLOTS),
        "FLUXRELAY_RESULT_LIFETIME_SECONDS": "1",  # the sandbox says itself how long
    }
    options = StackOptions(relay_variables=variables, sandbox_variables=SANDBOX)
    with opened(options, eventually) as town:
        proxy.upstream = town.stack.seaweed.endpoint
        yield town


@pytest.fixture(scope="module")
def slipped(coast: Town, proxy: S3Proxy) -> Iterator[dict[str, str]]:
    """Have one job meet each slip; return their ids."""
    for name, fault in SLIPS.items():
        fault.match = f"/{name}/"
        proxy.order(fault)
    # Looking at an object follows upon a key that is taken.
    proxy.order(Fault(Manner.SWALLOW, match="/unseen/", times=1))
    yield {name: coast.create(name, output={"key": name + "/{job_id}.{ext}"}) for name in SLIPS}
    proxy.clear()


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_of_s3(coast: Town, slipped: dict[str, str], name: str) -> None:
    """The image is stored at a later try, with the bytes that were made, and paid for once."""
    view = coast.succeeds(slipped[name])

    assert SLIPS[name].met == SLIPS[name].times
    (task,) = coast.tasks(slipped[name])
    assert view["image"]["sha256"] == task["sha256"]
    key = view["image"]["key"]
    stored = coast.stack.s3().get_object(Bucket=coast.stack.bucket, Key=key)
    assert len(stored["Body"].read()) == task["bytes"] == view["image"]["bytes"]


@pytest.fixture(scope="module")
def outage(coast: Town, proxy: S3Proxy, slipped: dict[str, str]) -> dict[str, Any]:
    """Have S3 refuse every image for longer than a link lives; return what was seen meanwhile."""
    for job_id in slipped.values():
        coast.ends(job_id)
    before = len(coast.ledger()["tasks"])
    proxy.order(Fault(status=503, code="SlowDown"))
    first = [coast.create(f"dies {n}") for n in range(2)]
    again = coast.create("dies, and is made again", regenerate=True)
    waiting = [coast.create(f"waits {n}") for n in range(30)]
    for job_id in first:
        coast.ends(job_id)
    coast.eventually(lambda: coast.job(again)["provider"]["expired"] is not None, RECOVERY)
    seen = {
        "first": first,
        "again": again,
        "waiting": waiting,
        "made": len(coast.ledger()["tasks"]) - before,
        "statuses": [coast.job(job_id)["status"] for job_id in waiting],
        "again_then": coast.job(again),
        "ready": coast.client.get("/readyz").json(),
    }
    proxy.clear()
    return seen


def test_few_images_are_made_while_there_is_nowhere_to_put_them(outage: dict[str, Any]) -> None:
    """The slots that were held, and some tries; all other jobs keep their place, unpaid."""
    assert outage["made"] <= 3 * SLOTS, outage["made"]
    assert outage["statuses"].count("queued") >= 30 - 3 * SLOTS
    assert outage["ready"]["status"] == "degraded"
    assert "SlowDown" in outage["ready"]["storage"]


def test_an_image_that_died_un_stored(coast: Town, outage: dict[str, Any]) -> None:
    """Its job fails and says which error of S3 it was; it was paid for once."""
    for job_id in outage["first"]:
        error = coast.job(job_id)["error"]
        assert (error["code"], error["retryable"]) == ("storage_failed", True)
        assert "SlowDown" in error["message"]
        assert len(coast.tasks(job_id)) == 1


def test_an_image_that_is_made_again(coast: Town, outage: dict[str, Any]) -> None:
    """Its job waits until there is room, and ends well: two payments, one picture."""
    assert outage["again_then"]["provider"]["expired"]
    assert outage["again_then"]["error"] is None

    view = coast.succeeds(outage["again"])

    first, second = sorted(coast.tasks(outage["again"]), key=lambda task: task["created_at"])
    assert first["seed"] == second["seed"]
    assert view["provider"]["id"] == second["id"]
    assert view["provider"]["expired"]["id"] == first["id"]
    assert view["image"]["sha256"] == first["sha256"] == second["sha256"]


def test_jobs_that_waited(coast: Town, outage: dict[str, Any]) -> None:
    """Those whose links outlived the outage, or that were not made yet, end well, paid for once."""
    for job_id in outage["waiting"]:
        view = coast.ends(job_id)
        tried = view["status"] == "failed"
        assert not tried or view["error"]["code"] == "storage_failed"
    ended = [coast.job(job_id)["status"] for job_id in outage["waiting"]]
    assert ended.count("succeeded") >= outage["statuses"].count("queued")
    made = coast.ledger()["tasks"]
    owners = [task["webhook_url"].rpartition("/")[2] for task in made]
    assert all(owners.count(job_id) == 1 for job_id in outage["waiting"])
