"""Batches over a limit: the whole is refused with 413 that says which, and nothing is kept."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.http.batch_calls import LINES, item, lines, send
from tests.http.conftest import MODEL, Caller, NothingTakenIn, RunService
from tests.http.test_dead_letters import problem

#: Bytes of a batch, and of its files, that the service of these tests takes; and its items.
MOST_BYTES, MOST_ITEMS = 100_000, 20
#: Bytes of an item apart from its files.
MOST_OF_AN_ITEM = 1024 * 1024
MakeCaller = Callable[[str, str | None], Caller]


@pytest.fixture(scope="module")
def narrow(own_service: RunService, callers: MakeCaller, api: Caller) -> Iterator[Caller]:
    """Return a caller of a service with small limits."""
    variables = {
        "FLUXRELAY_MAX_BATCH_BYTES": str(MOST_BYTES),
        "FLUXRELAY_MAX_BATCH_ITEMS": str(MOST_ITEMS),
    }
    with own_service(**variables) as service:
        yield callers(service.url, api.key)


def post(caller: Caller, content: Any, media: str = "application/json") -> httpx.Response:
    """POST a body as it is; an iterator is sent in chunks, without a stated length."""
    headers = {"authorization": f"Bearer {caller.key}", "content-type": media}
    return caller.client.post("/v1/batches", content=content, headers=headers)


def padded(body: Any, size: int) -> bytes:
    """Return a document with so many bytes."""
    return json.dumps(body).encode().ljust(size)


@pytest.mark.usefixtures("full_house")
def test_a_body_may_be_as_large_as_the_limit(narrow: Caller) -> None:
    """The last byte that is allowed is taken."""
    body = padded({"items": [item("a")]}, MOST_BYTES)

    assert post(narrow, body).status_code == 202
    assert post(narrow, lines(item("a")).ljust(MOST_BYTES), LINES).status_code == 202


def test_a_body_over_the_limit(narrow: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """One byte more is refused, with a stated length and without one."""
    body = padded({"items": [item("a")]}, MOST_BYTES + 1)
    chunks = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]

    with nothing_taken_in():
        for content in (body, iter(chunks)):
            answer = post(narrow, content)
            detail = problem(answer, 413, "body-too-large")["detail"]
            assert f"larger than {MOST_BYTES} bytes" in detail
            assert answer.headers["connection"] == "close"
        problem(post(narrow, iter(chunks), LINES), 413, "body-too-large")


@pytest.mark.usefixtures("full_house")
def test_the_files_of_all_items_count(
    narrow: Caller, picture: bytes, nothing_taken_in: NothingTakenIn
) -> None:
    """A file of the defaults counts once for each item, so that a small body fills no disk."""
    image = base64.b64encode(picture).decode()
    count = MOST_BYTES // len(picture) + 1
    assert count <= MOST_ITEMS
    defaults = {"model": "flux-kontext-pro", "input": {"input_image": image}}
    items = [{"custom_id": f"{n}", "input": {"prompt": "p"}} for n in range(count)]
    body = {"defaults": defaults, "items": items}
    assert len(json.dumps(body)) < MOST_BYTES / 4

    with nothing_taken_in():
        for given in (body, lines({"defaults": defaults}, *items)):
            detail = problem(send(narrow, given), 413, "body-too-large")["detail"]
            assert "counts its files once per item" in detail
            assert str(MOST_BYTES) in detail
    assert send(narrow, {**body, "items": items[:-1]}).status_code == 202


def test_an_item_that_is_too_large(api: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """Over 1 MiB apart from its files is refused, by the line or position of the item."""
    long = item("long", metadata={"a": "x" * MOST_OF_AN_ITEM})
    options = {"defaults": {"model": MODEL}, "metadata": {"a": "x" * MOST_OF_AN_ITEM}}

    with nothing_taken_in():
        for body, number in (
            (lines(item("a"), long, item("b")), 2),
            ({"items": [item("a"), item("b"), long]}, 3),
            (lines(options, item("a")), 1),
        ):
            detail = problem(send(api, body), 413, "body-too-large")["detail"]
            assert f"(at line or position {number})" in detail
            assert f"{MOST_OF_AN_ITEM} bytes" in detail
        answer = send(api, {**options, "items": [item("a")]})
        detail = problem(answer, 413, "body-too-large")["detail"]
        assert f"besides its items and files is larger than {MOST_OF_AN_ITEM} bytes" in detail


def test_too_many_items(narrow: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """One more than allowed is refused, as lines and as a document, with options and without."""
    items = [item(f"{number}") for number in range(MOST_ITEMS + 1)]
    defaults = {"defaults": {"model": MODEL}}

    with nothing_taken_in():
        for body in (
            {"items": items},
            {**defaults, "items": items},
            lines(*items),
            lines(defaults, *items),
        ):
            detail = problem(send(narrow, body), 413, "too-many-items")["detail"]
            assert f"more than {MOST_ITEMS} items" in detail


@pytest.mark.usefixtures("full_house")
def test_as_many_items_as_allowed(narrow: Caller) -> None:
    """All of them are accepted, also behind options."""
    items = [item(f"{number}") for number in range(MOST_ITEMS)]

    for body in ({"items": items}, lines(*items), lines({"defaults": {"model": MODEL}}, *items)):
        answer = send(narrow, body)
        assert answer.status_code == 202, answer.text
        assert answer.json()["counts"]["total"] == MOST_ITEMS
