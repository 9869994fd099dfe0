"""Models that share a limit of active tasks, and models that have nothing to do with it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.jobs.job import JobId
from core.jobs.status import Status
from core.redis.store import JobStore
from tests.contract.jobs import accept, standing

LIMITED, TWIN = "flux-kontext-pro", "flux-kontext-next"
QUEUED, SUBMITTING = Status.QUEUED, Status.SUBMITTING


@pytest.fixture
def store(store_with: Callable[..., JobStore], tmp_path: Path) -> JobStore:
    """Return a store with four slots, two of which two models share."""
    path = tmp_path / "models.json"
    entry = {"name": TWIN, "like": LIMITED, "lane": LIMITED}
    path.write_text(json.dumps({"models": [entry]}))
    return store_with(slots=f"4,{LIMITED}=2", models_file=str(path))


def test_no_more_are_active_than_the_shared_limit_allows(store: JobStore) -> None:
    """Jobs of both models count, and the oldest is next whichever model it is of."""
    accept(store, "1", "3", model=LIMITED)
    accept(store, "2", "4", "5", model=TWIN)
    accept(store, "6", model=LIMITED)
    assert standing(store, "1 2 3 4 5 6", SUBMITTING) == "1 3"

    order = []
    for done in ("1", "3", "2", "4"):
        store.move(JobId(done), Status.STORING)
        order.append(standing(store, "1 2 3 4 5 6", SUBMITTING))

    assert order == ["2 3", "2 4", "4 5", "5 6"]


def test_images_do_not_wait_for_a_full_shared_limit(store: JobStore) -> None:
    """However many wait for it, older and more urgent, the other slots are for other models."""
    accept(store, *"123456", model=TWIN, priority=100)

    accept(store, "7", "8", "9")

    assert standing(store, "1 2 3 4 5 6 7 8 9", SUBMITTING) == "1 2 7 8"
    store.move(JobId("7"), Status.STORING)
    assert standing(store, "3 4 5 6 9", SUBMITTING) == "9"
