"""`POST /v1/jobs/cancel`, while accepted items of batches are no jobs yet: they count, and end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from core.redis.store import JobStore
from core.settings.settings import Settings
from service.api.cancel_many import MOST_CANCELED
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.contract import batches
from tests.http.batch_calls import item
from tests.http.conftest import MODEL
from tests.http.raw_http import Answer, ask, head
from tests.http.served_app import KEY, OTHER_KEY, Served, served

OTHER_MODEL = "flux-kontext-pro"


@pytest.fixture
def relay_app(
    store: JobStore,
    service_settings: Settings,
    ports: Ports,
    eventually: Eventually,
    redis_client: "redis.Redis",
) -> Iterator[Served]:
    """Run a service beside an empty Redis; no sweep runs, so that items are no jobs for ever."""
    del store  # it has emptied Redis
    redis_client.set("pool:default:paused", "a test")
    indexed = service_settings.model_copy(update={"indexed_metadata": ("order",)})
    with served(indexed, ports, eventually) as running_service:
        yield running_service


def post(app: Served, path: str, body: Any, key: str = KEY) -> Answer:
    """POST a document."""
    raw = json.dumps(body).encode()
    return ask(app.url, head("POST", path, f"x-key: {key}", f"content-length: {len(raw)}") + raw)


def accepted(app: Served, *items: dict[str, Any], key: str = KEY) -> str:
    """Have a batch accepted; return its id."""
    answer = post(app, "/v1/batches", {"items": list(items)}, key)
    assert answer.status == 202, answer.body
    return str(json.loads(answer.body)["id"])


def cancel(app: Served, confirm: int, key: str = KEY, **filters: Any) -> tuple[int, Any]:
    """Cancel jobs by filters; return the status, and how many were canceled or would match."""
    answer = post(app, "/v1/jobs/cancel", {**filters, "confirm": confirm}, key)
    found = json.loads(answer.body)
    number = found.get("count", found.get("canceled"))
    return answer.status, found["type"] if number is None else number


def counts(app: Served, batch: str, key: str = KEY) -> dict[str, int]:
    """Return how many jobs of a batch stand at each status, but for those without any."""
    answer = ask(app.url, head("GET", f"/v1/batches/{batch}", f"x-key: {key}"))
    found: dict[str, int] = json.loads(answer.body)["counts"]
    return {status: number for status, number in found.items() if number and status != "total"}


def staged(redis_client: "redis.Redis", batch: str) -> int:
    """Return how many items of a batch are no jobs yet."""
    return int(redis_client.llen(f"batch:{batch}:staged"))


def test_the_items_of_a_batch_are_counted_and_canceled(
    relay_app: Served, redis_client: "redis.Redis"
) -> None:
    """All 450 match although none is a job; with their number all end, and so does the batch."""
    batch = accepted(relay_app, *(item(f"{number}") for number in range(450)))
    assert staged(redis_client, batch) == 450

    assert cancel(relay_app, 0, batch=batch) == (409, 450)
    assert counts(relay_app, batch) == {"queued": 450}
    assert cancel(relay_app, 450, batch=batch) == (200, 450)

    assert counts(relay_app, batch) == {"canceled": 450}
    assert (staged(redis_client, batch), redis_client.get("staged")) == (0, "0")
    assert redis_client.zscore("due", f"results:{batch}") is not None
    assert cancel(relay_app, 0, batch=batch) == (200, 0)


def test_items_match_by_every_filter(relay_app: Served, redis_client: "redis.Redis") -> None:
    """Model, metadata, times and status hold for them as for jobs."""
    edits = [item(f"e{n}", model=OTHER_MODEL, input={"prompt": "p"}) for n in range(3)]
    orders = [item(f"o{n}", metadata={"order": "7"}) for n in range(2)]
    batch = accepted(relay_app, item("plain"), *edits, *orders)

    assert cancel(relay_app, 0, batch=batch, status=["generating", "submitting"]) == (200, 0)
    assert staged(redis_client, batch) == 6  # none of them could match
    assert cancel(relay_app, 3, batch=batch, model=OTHER_MODEL) == (200, 3)
    assert cancel(relay_app, 2, metadata={"order": "7"}) == (200, 2)
    assert cancel(relay_app, 0, created_after=4e9) == (200, 0)
    assert counts(relay_app, batch) == {"canceled": 5, "queued": 1}
    assert cancel(relay_app, 1, status=["queued"]) == (200, 1)


def test_all_means_the_items_of_all_own_batches(
    relay_app: Served, redis_client: "redis.Redis"
) -> None:
    """With `all`, those of each batch and single jobs end; another tenant's stay as they are."""
    own = [accepted(relay_app, *(item(f"{n}") for n in range(count))) for count in (1, 150, 70)]
    job = {"model": MODEL, "input": {"prompt": "p", "width": 256, "height": 256}}
    assert post(relay_app, "/v1/jobs", job).status == 202
    foreign = accepted(relay_app, item("a"), item("b"), key=OTHER_KEY)

    assert cancel(relay_app, 0, all=True) == (409, 222)
    assert cancel(relay_app, 222, all=True) == (200, 222)

    assert [counts(relay_app, one) for one in own] == [
        {"canceled": 1},
        {"canceled": 150},
        {"canceled": 70},
    ]
    assert cancel(relay_app, 0, batch=foreign) == (200, 0)
    assert staged(redis_client, foreign) == 2
    assert counts(relay_app, foreign, OTHER_KEY) == {"queued": 2}


def test_more_items_than_one_request_cancels(
    relay_app: Served, store: JobStore, redis_client: "redis.Redis"
) -> None:
    """They are too many; whether they fit other filters is known once they are jobs."""
    names = [f"01a1ff02-1be0-7c55-a3d1-{number:012x}" for number in range(2 * MOST_CANCELED)]
    batches.accept(store, *names)

    assert cancel(relay_app, 0, model=OTHER_MODEL) == (503, "urn:fluxrelay:problem:busy")
    left = staged(redis_client, batches.B)
    assert MOST_CANCELED - 200 <= left < MOST_CANCELED
    assert cancel(relay_app, 0, model=OTHER_MODEL) == (200, 0)
    too_many = (422, "urn:fluxrelay:problem:too-many-jobs")
    assert cancel(relay_app, 0, all=True) == too_many
    assert cancel(relay_app, 0, batch=batches.B) == too_many
    assert counts(relay_app, batches.B) == {"queued": 2 * MOST_CANCELED}
