"""Results that are no images: videos and bundles, whole, broken, and something else altogether."""

import ssl
import tracemalloc
from hashlib import sha256

import pytest

from core.errors import Transient
from core.media.contents import BUNDLE, IMAGE, VIDEO, Content
from tests.contract.scripted_server import ScriptedServer, Wire, answer, head
from tests.image_files import drawn
from tests.video_files import NOISE, OTHERS, VIDEOS, large_video, video
from worker.clients.download import Downloader, Result

PAGE = b"\r\n<!DOCTYPE html><html><body>Bad gateway</body></html>"


@pytest.fixture
def downloader(ssl_context: ssl.SSLContext) -> Downloader:
    """Return a downloader that may fetch from 127.0.0.1."""
    return Downloader(["127.0.0.1"], timeout=5, connections=4, ssl_context=ssl_context)


def _fetch(downloader: Downloader, server: ScriptedServer, content: Content) -> Result:
    return downloader.fetch(server.url, lambda: None, content)


@pytest.mark.parametrize("kind", VIDEOS)
def test_a_whole_video_is_taken_with_its_facts(
    downloader: Downloader, server: ScriptedServer, kind: str
) -> None:
    """The bytes come back as they were sent, with what their boxes tell."""
    body = VIDEOS[kind]()
    server.script = answer(200, body, "content-type: application/octet-stream")

    result = _fetch(downloader, server, VIDEO)

    with result.file:
        assert result.file.read() == body
    assert (result.size, result.sha256) == (len(body), sha256(body).digest())
    assert (result.content_type, result.extension) == ("video/mp4", "mp4")
    assert result.facts == {
        "seconds": 5.0,
        "frames_per_second": 24.0,
        "width": 320,
        "height": 192,
        "tracks": ["video", "audio"] if kind == "with sound" else ["video"],
    }
    assert server.requests[0].headers["accept"] == "video/*"


def test_a_large_video_takes_no_memory(downloader: Downloader, server: ScriptedServer) -> None:
    """However large a video is, a few pieces of it are held at a time."""
    start, zeros = large_video(64 * 1024 * 1024)

    def script(wire: Wire) -> None:
        size = len(start) + zeros
        wire.say(head(200, f"content-length: {size}"), start)
        wire.dribble(bytes(1024 * 1024), times=zeros // (1024 * 1024), every=0)

    server.script = script
    tracemalloc.start()
    try:
        result = _fetch(downloader, server, VIDEO)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    result.file.close()
    assert result.size == len(start) + zeros
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("stated", [True, False])
def test_a_cut_video_is_refused(
    *, downloader: Downloader, server: ScriptedServer, kept: float, stated: bool
) -> None:
    """A part is no video, whether or not its length gives it away."""
    whole = video()
    part = whole[: int(len(whole) * kept)]
    server.script = answer(200, part, length=len(whole) if stated else len(part))

    with pytest.raises(Transient, match=r"could not be fetched|not a whole video"):
        _fetch(downloader, server, VIDEO)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_video_is_refused(
    downloader: Downloader, server: ScriptedServer, name: str
) -> None:
    """A page or another format is named, whatever its type is said to be."""
    server.script = answer(200, OTHERS[name], "content-type: video/mp4")

    with pytest.raises(Transient, match=f"the result is {name}, not MP4"):
        _fetch(downloader, server, VIDEO)


@pytest.mark.parametrize(
    ("body", "content"), [(video(), IMAGE), (drawn("PNG"), VIDEO), (PAGE, BUNDLE), (b"", BUNDLE)]
)
def test_each_content_is_told_from_the_others(
    downloader: Downloader, server: ScriptedServer, body: bytes, content: Content
) -> None:
    """A video is no image, an image is no video, and a page or nothing is no bundle."""
    server.script = answer(200, body)

    with pytest.raises(Transient, match=r"the result is (not|PNG|HTML|empty)"):
        _fetch(downloader, server, content)


@pytest.mark.parametrize("body", [b"x", NOISE[:300_000], video(), b"\x00" * 5])
def test_a_bundle_may_hold_any_bytes(
    downloader: Downloader, server: ScriptedServer, body: bytes
) -> None:
    """Nothing is asked of it but that it is all there."""
    server.script = answer(200, body)

    result = _fetch(downloader, server, BUNDLE)

    with result.file:
        assert result.file.read() == body
    assert (result.content_type, result.extension) == ("application/octet-stream", "bin")
    assert result.facts == {}


def test_a_bundle_in_pieces_ends_as_they_do(downloader: Downloader, server: ScriptedServer) -> None:
    """A chunked answer shows its end, and a missing one is noticed."""
    chunked = head(200, "transfer-encoding: chunked")
    server.script = lambda wire: wire.say(chunked, b"5\r\nhello\r\n0\r\n\r\n")

    with _fetch(downloader, server, BUNDLE).file as file:
        assert file.read() == b"hello"

    server.script = lambda wire: wire.say(chunked, b"5\r\nhello\r\n")
    with pytest.raises(Transient, match="could not be fetched"):
        _fetch(downloader, server, BUNDLE)


def test_a_bundle_of_unknown_length_is_refused(
    downloader: Downloader, server: ScriptedServer
) -> None:
    """Where neither the host nor the bytes show an end, nobody knows whether all came."""

    def script(wire: Wire) -> None:
        wire.say(head(200), b"hello")

    server.script = script

    with pytest.raises(Transient, match="does not state the length of the bundle"):
        _fetch(downloader, server, BUNDLE)


def test_a_cut_bundle_is_refused(downloader: Downloader, server: ScriptedServer) -> None:
    """Fewer bytes than stated are no bundle."""
    server.script = answer(200, b"hello", length=6)

    with pytest.raises(Transient, match="could not be fetched"):
        _fetch(downloader, server, BUNDLE)
