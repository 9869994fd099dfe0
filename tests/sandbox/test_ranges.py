"""Downloads in parts, and those that break off or are not what they seem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.sandbox.movies import parse

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox

DRAFT = {"mode": "t2v", "prompt": "waves", "draft": True}


@pytest.fixture
def ended(sandbox: RunningSandbox) -> Any:
    """Return what get_result says of a draft that is ready."""
    return sandbox.finished("flux-3-video", **DRAFT)


@pytest.fixture
def url(ended: Any) -> str:
    """Return the address of its video."""
    return str(ended["result"]["sample"])


@pytest.fixture
def whole(sandbox: RunningSandbox, ended: Any) -> bytes:
    """Return the bytes of its video, which are not counted as a download."""
    url = str(ended["result"]["sample"])
    sandbox.set_faults(corrupt_download={"flips": 1})
    wrong = bytearray(sandbox.client.get(url).content)
    wrong[len(wrong) // 2] ^= 1
    sandbox.set_faults()
    return bytes(wrong)


def part(sandbox: RunningSandbox, url: str, asked: str, **headers: str) -> httpx.Response:
    """Ask for a part of a file."""
    return sandbox.client.get(url, headers={"range": asked, **headers})


def test_a_part_is_sent_as_asked(sandbox: RunningSandbox, url: str, whole: bytes) -> None:
    """From, to, from on, and the last so many bytes, with the file's length."""
    size = len(whole)
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-99", 10, 100),
        ("bytes=100-", 100, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=-{size + 5}", 0, size),
        (f"bytes=5-{size + 5}", 5, size),
    ):
        answer = part(sandbox, url, asked)
        assert answer.status_code == 206
        assert answer.content == whole[start:stop]
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert "content-md5" not in answer.headers
        md5 = sandbox.client.head(url).headers["content-md5"]
        assert answer.headers["x-ms-blob-content-md5"] == md5


@pytest.mark.parametrize("asked", ["bytes=5-4", "bytes=-", "bytes=0-1,4-5", "lines=1-2", "junk"])
def test_a_range_that_is_not_understood_is_ignored(
    sandbox: RunningSandbox, url: str, whole: bytes, asked: str
) -> None:
    """The whole file comes with 200."""
    answer = part(sandbox, url, asked)
    assert (answer.status_code, answer.content) == (200, whole)


def test_a_range_behind_the_end_is_refused(sandbox: RunningSandbox, url: str, whole: bytes) -> None:
    """The answer is 416 and tells the file's length."""
    for asked in (f"bytes={len(whole)}-", "bytes=-0"):
        answer = part(sandbox, url, asked)
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"


def test_a_part_of_another_version_is_not_sent(
    sandbox: RunningSandbox, url: str, whole: bytes
) -> None:
    """`If-Range` with the file's ETag or date gives the part, with another one the whole file."""
    head = sandbox.client.head(url).headers
    for known in (head["etag"], head["last-modified"]):
        assert part(sandbox, url, "bytes=5-", **{"if-range": known}).content == whole[5:]
    other = part(sandbox, url, "bytes=5-", **{"if-range": '"another"'})
    assert (other.status_code, other.content) == (200, whole)


def test_a_download_counts_when_its_last_byte_is_sent(
    sandbox: RunningSandbox, ended: Any, url: str
) -> None:
    """A part from the middle is no download, the rest up to the end is one."""
    part(sandbox, url, "bytes=10-99")
    assert sandbox.entry(ended["id"])["downloads"] == 0
    part(sandbox, url, "bytes=100-")
    assert sandbox.entry(ended["id"])["downloads"] == 1


def cut(sandbox: RunningSandbox, url: str, **headers: str) -> bytes:
    """Return what comes of a download that breaks off."""
    received = bytearray()
    with (
        sandbox.client.stream("GET", url, headers=headers) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        read_into(received, answer)
    return bytes(received)


def read_into(received: bytearray, answer: httpx.Response) -> None:
    """Add what comes of the answer's body, up to where it breaks."""
    for chunk in answer.iter_raw():
        received.extend(chunk)


def test_a_download_that_is_cut_off_can_go_on(
    sandbox: RunningSandbox, ended: Any, url: str, whole: bytes
) -> None:
    """`cut_download` sends so many bytes; the rest comes with a range, and counts once."""
    sandbox.set_faults(cut_download={"bytes": 700, "times": 2})
    first = cut(sandbox, url)
    second = cut(sandbox, url, range="bytes=700-")
    rest = part(sandbox, url, "bytes=1400-").content
    assert (len(first), len(second)) == (700, 700)
    assert first + second + rest == whole
    assert sandbox.entry(ended["id"])["downloads"] == 1


def test_a_short_answer_is_not_cut_off(sandbox: RunningSandbox, url: str, whole: bytes) -> None:
    """`cut_download` beyond the answer's end does nothing."""
    sandbox.set_faults(cut_download={"bytes": len(whole)})
    assert sandbox.client.get(url).content == whole


def test_odd_range(sandbox: RunningSandbox, url: str, whole: bytes) -> None:
    """A range is ignored, refused or begins too early, or the file changes each time."""
    etag = sandbox.client.head(url).headers["etag"]
    sandbox.set_faults(odd_range={"kind": "ignored"})
    assert part(sandbox, url, "bytes=9-").content == whole
    sandbox.set_faults(odd_range={"kind": "refused"})
    assert part(sandbox, url, "bytes=9-").status_code == 416
    assert sandbox.client.get(url).content == whole
    sandbox.set_faults(odd_range={"kind": "shifted"})
    shifted = part(sandbox, url, "bytes=100-")
    assert (shifted.status_code, shifted.content) == (206, whole[50:])
    assert shifted.headers["content-range"].startswith("bytes 50-")
    sandbox.set_faults(odd_range={"kind": "changed"})
    assert part(sandbox, url, "bytes=9-", **{"if-range": etag}).content == whole
    assert sandbox.client.head(url).headers["etag"] != sandbox.client.head(url).headers["etag"]


def test_shorten_download(sandbox: RunningSandbox, ended: Any, url: str, whole: bytes) -> None:
    """HTTP is content, the file is not whole, nothing tells its checksum, and it does not count."""
    sandbox.set_faults(shorten_download={"fraction": 0.8})
    answer = sandbox.client.get(url)
    assert answer.content == whole[: int(len(whole) * 0.8)]
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "content-md5" not in answer.headers
    with pytest.raises(AssertionError, match="cut off"):
        parse(answer.content)
    assert sandbox.entry(ended["id"])["downloads"] == 0


def test_a_fault_of_one_file_leaves_the_other(sandbox: RunningSandbox, ended: Any) -> None:
    """With the filter `role` the bundle is gone while the video can be downloaded."""
    sandbox.set_faults(refuse_download={"status": 404, "role": "draft_cache"})
    assert sandbox.client.get(ended["result"]["draft_cache"]).status_code == 404
    assert sandbox.client.get(ended["result"]["sample"]).status_code == 200
    sandbox.set_faults(html_download={"role": "sample"})
    assert sandbox.client.get(ended["result"]["draft_cache"]).status_code == 200
    assert "<html>" in sandbox.client.get(ended["result"]["sample"]).text


def test_what_is_told_of_a_bundle_may_be_odd(sandbox: RunningSandbox, ended: Any) -> None:
    """It stands in the list alone, its link is dead, or it is missing; the video's link is good."""
    good = ended["result"]
    rest = {key: value for key, value in good.items() if not key.startswith("draft")}
    told = {}
    for kind in ("bundle_list", "dead_bundle", "no_bundle"):
        sandbox.set_faults(odd_poll_result={"kind": kind})
        told[kind] = sandbox.poll(ended["id"]).json()["result"]
    assert told["bundle_list"] == {**rest, "draft_caches": [good["draft_cache"]]}
    assert told["no_bundle"] == rest
    assert sandbox.client.get(told["dead_bundle"]["draft_cache"]).status_code == 403
    assert told["dead_bundle"]["sample"] == good["sample"]
    plain = sandbox.finished(prompt="an image")["result"]
    sandbox.set_faults(odd_poll_result={"kind": "no_bundle"})
    assert sandbox.finished(prompt="an image")["result"].keys() == plain.keys()
