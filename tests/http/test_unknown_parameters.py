"""Parameters of the query that an endpoint does not know, on every endpoint that takes a key."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from stack.stack import Stack
from tests.http.batch_calls import accepted, item
from tests.http.conftest import Caller, NothingTakenIn

#: Methods of the OpenAPI document.
_METHODS: Final = ("get", "head", "post", "delete")


def _operations(api: Caller) -> Iterator[tuple[str, str]]:
    """Yield method and path of every operation that needs a key, as the document names them."""
    for path, described in api.get("/openapi.json").json()["paths"].items():
        for method in _METHODS:
            if "security" not in described.get(method, {"security": []}):
                yield method, path


def _real(path: str, job: str, batch: str) -> str:
    """Return a path with ids of the caller's, so that it is not refused for them."""
    ids = {"job_id": job, "batch_id": batch, "kind": "job", "id": job, "role": "sample"}
    return path.format(**ids)


def _errors(answer: Any) -> list[tuple[str, str]]:
    """Return the field of each error, and how to fix it."""
    assert answer.status_code == 422, answer.text
    return [(error["field"], error["fix"]) for error in answer.json()["errors"]]


def test_every_endpoint_refuses_them(api: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """422, and nothing is done: a mistyped parameter must not pass for one that was obeyed."""
    batch = accepted(api, {"items": [item("one")]})["id"]
    job = api.create("left alone")
    api.ended(job)
    operations = list(_operations(api))
    assert {("post", "/v1/jobs"), ("get", "/v1/models")} <= {*operations}

    with nothing_taken_in():
        for method, path in operations:
            url = f"{_real(path, job, batch)}?wiat=3&b=1&b=2"
            answer = api.client.request(method, url, headers={"authorization": f"Bearer {api.key}"})
            assert answer.status_code == 422, (method, path, answer.status_code)
            if method != "head":
                fields = [error["field"] for error in answer.json()["errors"]]
                assert fields == ["query.wiat", "query.b"], (method, path)


@pytest.mark.parametrize(
    ("path", "fixes"),
    [
        ("/v1/jobs?wait=10", [("query.wait", "Prefer: wait=N")]),
        ("/v1/batches?wait=10&x=", [("query.wait", "GET /v1/batches/{id}"), ("query.x", "leave")]),
        ("/v1/jobs/cancel?confirm=0", [("query.confirm", "in the body")]),
        ("/v1/callbacks/replay?since=1", [("query.since", "in the body")]),
        ("/v1/callbacks/test?url=https://example.com", [("query.url", "in the body")]),
    ],
)
def test_one_that_belongs_elsewhere_is_told_where(
    api: Caller, path: str, fixes: list[tuple[str, str]]
) -> None:
    """Whoever sends it is told which header or body takes it."""
    answer = api.client.post(path, json={}, headers={"authorization": f"Bearer {api.key}"})

    for (field, said), (expected, words) in zip(_errors(answer), fixes, strict=True):
        assert (field, words in said) == (expected, True)


@pytest.mark.parametrize("query", ["?", "?&", "?&&"])
def test_an_empty_query_holds_none(api: Caller, query: str) -> None:
    """Some clients append a question mark to every URL."""
    assert api.get(f"/v1/models{query}").status_code == 200


def test_a_wrong_key_comes_first(relay: Stack, api: Caller) -> None:
    """Nobody learns without a key what an endpoint takes."""
    answer = api.client.post(f"{relay.service_url}/v1/jobs?wait=3", json={})

    assert answer.status_code == 401
