"""The pictures: size, format, sameness, and addresses that are signed and die."""

from __future__ import annotations

import base64
import hashlib
import io
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from sandbox.tasks.results import FileCache

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox, StartSandbox, WaitFor


@pytest.mark.parametrize(
    ("model", "body", "expected"),
    [
        ("flux-pro-1.1", {}, ("JPEG", 1024, 768)),
        ("flux-pro-1.1", {"width": 256, "height": 1440}, ("JPEG", 256, 1440)),
        ("flux-pro-1.1", {"output_format": "webp", "width": 512}, ("WEBP", 512, 768)),
        ("flux-pro-1.1", {"output_format": None}, ("JPEG", 1024, 768)),
        ("flux-kontext-pro", {}, ("PNG", 1024, 1024)),
        ("flux-kontext-max", {"aspect_ratio": "16:9"}, ("PNG", 1376, 768)),
        ("flux-kontext-pro", {"aspect_ratio": "9:21"}, ("PNG", 672, 1568)),
        ("flux-kontext-pro", {"output_format": "jpeg"}, ("JPEG", 1024, 1024)),
    ],
)
def test_the_picture_is_what_was_asked_for(
    sandbox: RunningSandbox, model: str, body: dict[str, object], expected: tuple[str, int, int]
) -> None:
    """Format and size are right in the file, its headers and the ledger."""
    ended = sandbox.finished(model, prompt="a harbour", **body)
    got = sandbox.client.get(ended["result"]["sample"])
    with Image.open(io.BytesIO(got.content)) as picture:
        picture.load()
        assert (picture.format, *picture.size) == expected
    assert got.headers["content-type"] == f"image/{expected[0].lower()}"
    entry = sandbox.entry(ended["id"])
    assert (entry["format"].upper(), entry["width"], entry["height"]) == expected


def test_the_ledger_holds_the_bytes_that_are_downloaded(sandbox: RunningSandbox) -> None:
    """Length and SHA-256 of the ledger are the download's, and the download is counted."""
    ended = sandbox.finished(prompt="judge me")
    url = ended["result"]["sample"]
    got = sandbox.client.get(url)
    entry = sandbox.entry(ended["id"])
    assert entry["sample_url"] == url
    assert entry["sha256"] == hashlib.sha256(got.content).hexdigest()
    assert entry["bytes"] == len(got.content) == int(got.headers["content-length"])
    assert entry["downloads"] == 1
    md5 = hashlib.md5(got.content, usedforsecurity=False).digest()
    assert got.headers["content-md5"] == base64.b64encode(md5).decode()


def test_the_same_request_gives_the_same_bytes(sandbox: RunningSandbox) -> None:
    """Model, prompt and seed decide the picture; changing one of them changes it."""

    def digest(model: str = "flux-kontext-pro", /, **body: object) -> str:
        ended = sandbox.finished(model, **{"prompt": "same", "seed": 5, **body})
        return str(sandbox.entry(ended["id"])["sha256"])

    assert digest() == digest()
    others = {digest(), digest(seed=6), digest(prompt="other"), digest("flux-kontext-max")}
    assert len(others) == 4


def test_a_seed_is_chosen_and_reported_when_none_is_sent(sandbox: RunningSandbox) -> None:
    """Two tasks without a seed differ, and sending the reported seed repeats the picture."""
    first, second = (sandbox.finished(prompt="seedless") for _ in range(2))
    assert first["result"]["seed"] != second["result"]["seed"]
    again = sandbox.finished(prompt="seedless", seed=first["result"]["seed"])
    digests = [sandbox.entry(task["id"])["sha256"] for task in (first, again)]
    assert digests[0] == digests[1]


def test_head_announces_what_get_brings(sandbox: RunningSandbox) -> None:
    """HEAD has the headers of GET and no body, and is no download."""
    ended = sandbox.finished(prompt="heads")
    head = sandbox.client.head(ended["result"]["sample"])
    assert sandbox.entry(ended["id"])["downloads"] == 0
    got = sandbox.client.get(ended["result"]["sample"])
    assert head.content == b""
    names = ("content-length", "content-type", "etag", "last-modified")
    assert [head.headers[name] for name in names] == [got.headers[name] for name in names]


def test_the_address_names_its_own_expiry(sandbox: RunningSandbox) -> None:
    """`se` is the ledger's expiry, ten minutes after the picture was made."""
    ended = sandbox.finished(prompt="clock")
    entry = sandbox.entry(ended["id"])
    parameters = sandbox.client.build_request("GET", ended["result"]["sample"]).url.params
    assert parameters["se"] == entry["expires_at"]
    lifetime = moment(entry["expires_at"]) - moment(entry["finished_at"])
    assert lifetime.total_seconds() == pytest.approx(600, abs=1)


@pytest.mark.parametrize("name", ["se", "sp", "sv", "sr", "rsct", "sig", "path"])
def test_a_changed_address_is_refused(sandbox: RunningSandbox, name: str) -> None:
    """Every signed part is protected, the path as well."""
    url = sandbox.client.build_request("GET", sandbox.sample(prompt="forged")).url
    if name == "path":
        forged = url.copy_with(path=url.path.replace("sample.", "other."))
    elif name == "se":
        forged = url.copy_set_param("se", "2999-01-01T00:00:00Z")
    else:
        forged = url.copy_set_param(name, url.params[name] + "x")
    assert sandbox.client.get(url).status_code == 200
    refused = sandbox.client.get(forged)
    assert refused.status_code == 403
    assert refused.headers["x-ms-error-code"] == "AuthenticationFailed"


def test_an_address_without_signature_is_refused(sandbox: RunningSandbox) -> None:
    """Nothing can be had by guessing a path."""
    assert sandbox.client.get(f"/results/{'0' * 32}/sample.png").status_code == 403


def test_an_address_dies(start_sandbox: StartSandbox, wait_for: WaitFor) -> None:
    """With the time scaled down, the picture is there first and 403 after its expiry."""
    brief = start_sandbox(TIME_SCALE=0.005)
    url = brief.sample(prompt="mortal")
    assert brief.client.get(url).status_code == 200
    wait_for(lambda: brief.client.get(url).status_code == 403)
    assert "expiry" in brief.client.get(url).text


def test_full_memory_drops_the_oldest_file_first() -> None:
    """The cache never holds more than its capacity, except for one file alone."""
    cache = FileCache(capacity=10)
    cache.put("a", b"12345", 100.0)
    cache.put("b", b"12345", 101.0)
    cache.put("c", b"1", 102.0)
    assert [cache.get(token) for token in "abc"] == [None, b"12345", b"1"]
    cache.sweep(101.5)
    assert [cache.get(token) for token in "bc"] == [None, b"1"]
    cache.put("d", b"x" * 99, 103.0)
    assert [cache.get(token) for token in "cd"] == [None, b"x" * 99]


def test_a_file_that_expires_soon_does_not_wait_for_an_older_one() -> None:
    """Lifetimes differ: what has expired is dropped, whatever was put before it."""
    cache = FileCache()
    cache.put("video", b"12345", 7200.0)
    cache.put("image", b"1", 600.0)
    cache.sweep(600.0)
    assert [cache.get(token) for token in ("video", "image")] == [b"12345", None]


def moment(text: Any) -> datetime:
    """Return the instant of an ISO 8601 text."""
    return datetime.fromisoformat(str(text))
