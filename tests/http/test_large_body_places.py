"""Places for large bodies over HTTP: slow uploads of one tenant keep out no other."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.redis.store import JobStore
from core.settings.settings import Settings
from service.http import places
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.http.batch_calls import LINES, item, lines
from tests.http.conftest import MODEL
from tests.http.raw_http import Answer, Wire, ask, head
from tests.http.served_app import KEY, OTHER_KEY, Served, served

#: So many places there are, and so many of them for one tenant of the two.
ALL, EACH = 8, 4


@pytest.fixture
def relay_app(
    store: JobStore,
    service_settings: Settings,
    ports: Ports,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Served]:
    """Run a service for two tenants in which nobody waits for a place for long."""
    del store  # it has emptied Redis
    monkeypatch.setattr(places, "_LONGEST_WAIT", 0.2)
    with served(service_settings, ports, eventually) as running_service:
        yield running_service


@pytest.fixture
def uploads(
    relay_app: Served, eventually: Eventually, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Wire]]:
    """Have one tenant send as many slow batches as there are places; some of them are taken."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    begun = lines(*(item(f"{number}") for number in range(9000)))
    assert len(begun) > 900_000  # so much is in a file, for which a batch needs its place
    with contextlib.ExitStack() as stack:
        sent = [stack.enter_context(Wire.to(relay_app.url)) for _ in range(ALL)]
        for wire in sent:
            with contextlib.suppress(OSError):  # one that is refused is hung up on
                wire.send(post("/v1/batches", KEY, LINES, 2 * len(begun)), begun)
        eventually(lambda: len(open_files(tmp_path)) == EACH)
        yield sent


def open_files(place: Path) -> list[str]:
    """Return the files without a name below a place that this process holds open (Linux)."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(link.readlink()))
    return [name for name in found if name.startswith(str(place)) and name.endswith("(deleted)")]


def post(path: str, key: str, media: str, length: int) -> bytes:
    """Return the head of a POST."""
    headers = (f"x-key: {key}", f"content-type: {media}", f"content-length: {length}")
    return head("POST", path, *headers)


def send(app: Served, key: str, body: Any, path: str = "/v1/batches") -> Answer:
    """POST lines, or a document."""
    media = LINES if isinstance(body, bytes) else "application/json"
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(app.url, post(path, key, media, len(raw)) + raw)


def large(count: int = 1000) -> bytes:
    """Return a batch that needs a place."""
    body = lines(*(item(f"{number}") for number in range(count)))
    assert len(body) > 65_536
    return body


def busy(answer: Answer) -> bool:
    """Return whether a request was sent away, and was told why and when to come again."""
    if answer.status != 503:
        return False
    problem = json.loads(answer.body)
    assert problem["type"].endswith(":busy")
    assert f"{ALL} at a time, of one caller {EACH} (FLUXRELAY_LARGE_BODIES)" in problem["detail"]
    assert answer.headers["retry-after"] == "5"
    return True


@pytest.mark.usefixtures("uploads")
def test_slow_uploads_of_one_tenant_keep_out_no_other(relay_app: Served) -> None:
    """With all its places taken, a tenant is told to come again; another one's batch is taken."""
    assert busy(send(relay_app, KEY, large()))
    assert send(relay_app, OTHER_KEY, large()).status == 202
    edit = {"prompt": "p" * 70_000, "width": 256, "height": 256}
    job = {"model": MODEL, "input": edit}
    assert busy(send(relay_app, KEY, job, "/v1/jobs"))
    in_the_provider_s_words = send(relay_app, KEY, edit, f"/v1/{MODEL}")
    assert in_the_provider_s_words.status == 503
    assert send(relay_app, OTHER_KEY, job, "/v1/jobs").status == 202


@pytest.mark.usefixtures("uploads")
def test_a_small_batch_needs_no_place(relay_app: Served) -> None:
    """It is taken beside any number of large ones, unless its defaults make much of it."""
    assert send(relay_app, KEY, {"items": [item("a"), item("b")]}).status == 202
    assert send(relay_app, KEY, lines(item("a"), item("b"))).status == 202
    grows = {
        "defaults": {"model": MODEL, "input": {"prompt": "p" * 50_000}},
        "items": [{"custom_id": f"{number}"} for number in range(100)],
    }
    assert busy(send(relay_app, KEY, grows))
    assert send(relay_app, OTHER_KEY, grows).status == 202


def test_a_place_is_free_again_once_its_caller_has_left(
    relay_app: Served, uploads: list[Wire], eventually: Eventually
) -> None:
    """A tenant whose slow uploads break off sends large batches as before."""
    assert busy(send(relay_app, KEY, large()))

    for wire in uploads:
        wire.socket.close()

    eventually(lambda: not busy(send(relay_app, KEY, large())))
    assert send(relay_app, KEY, large()).status == 202
