"""Faults that hand a whole picture out in a way that nobody asked for."""

import gzip
import hashlib
import zlib
from collections.abc import Callable

import httpx
import pytest

from tests.sandbox.conftest import RunningSandbox

PLAIN = {"accept-encoding": "identity"}


def _raw(sandbox: RunningSandbox, url: str, **headers: str) -> tuple[httpx.Headers, bytes]:
    """Return an answer's headers, and its bytes as they came."""
    with sandbox.client.stream("GET", url, headers={**PLAIN, **headers}) as answer:
        return answer.headers, b"".join(answer.iter_raw())


def test_redirect_download(sandbox: RunningSandbox) -> None:
    """So many redirects with the chosen status lead to the picture, each to another address."""
    ended = sandbox.finished(prompt="moved")
    url = ended["result"]["sample"]
    whole = sandbox.client.get(url).content
    sandbox.set_faults(redirect_download={"hops": 3, "status": 307})

    answer = sandbox.client.get(url, follow_redirects=True)

    assert answer.content == whole
    assert [hop.status_code for hop in answer.history] == [307] * 3
    assert len({str(hop.url) for hop in answer.history}) == 3
    assert sandbox.entry(ended["id"])["downloads"] == 2


def test_redirect_download_to_another_place(sandbox: RunningSandbox) -> None:
    """It may lead to any address that is named."""
    url = sandbox.sample(prompt="moved away")
    sandbox.set_faults(redirect_download={"to": "https://elsewhere.example/x"})

    assert sandbox.client.get(url).headers["location"] == "https://elsewhere.example/x"


@pytest.mark.parametrize(
    ("encoding", "undo"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)]
)
def test_encode_download(
    sandbox: RunningSandbox, encoding: str, undo: Callable[[bytes], bytes]
) -> None:
    """The picture comes encoded though nobody asked for it."""
    ended = sandbox.finished(prompt="encoded")
    url = ended["result"]["sample"]
    plain_headers, whole = _raw(sandbox, url)
    sandbox.set_faults(encode_download={"encoding": encoding})

    headers, data = _raw(sandbox, url)

    assert undo(data) == whole
    assert headers["content-encoding"] == encoding
    assert int(headers["content-length"]) == len(data)
    assert headers["content-md5"] == plain_headers["content-md5"]
    assert sandbox.entry(ended["id"])["downloads"] == 2


def test_encode_download_that_can_be_forbidden(sandbox: RunningSandbox) -> None:
    """What nobody can undo is not sent to who forbids it."""
    url = sandbox.sample(prompt="encoded")
    _, whole = _raw(sandbox, url)
    sandbox.set_faults(encode_download={"encoding": "br"})

    headers, data = _raw(sandbox, url)
    assert headers["content-encoding"] == "br"
    assert data != whole
    headers, data = _raw(sandbox, url, **{"cache-control": "no-transform"})
    assert "content-encoding" not in headers
    assert data == whole


def test_pad_picture_and_append_picture(sandbox: RunningSandbox) -> None:
    """The file has more pictures and zeros behind its first picture, and the ledger knows it."""
    sandbox.set_faults(pad_picture={"bytes": 500}, append_picture={"pictures": 2})

    ended = sandbox.finished(prompt="a long file")

    data = sandbox.client.get(ended["result"]["sample"]).content
    entry = sandbox.entry(ended["id"])
    assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert data.endswith(bytes(500))
    pictures = data[:-500]
    assert pictures == pictures[: len(pictures) // 3] * 3
