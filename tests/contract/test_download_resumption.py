"""A download that breaks off goes on where it stopped, if the host can tell what it sends."""

import base64
import ssl
from collections.abc import Callable
from hashlib import md5, sha256

import pytest

from core.errors import Transient
from core.media.contents import VIDEO
from tests.contract.scripted_server import Script, ScriptedServer, Wire, head
from tests.video_files import video
from worker.clients import download
from worker.clients.download import Downloader, Result, ResultGone

WHOLE = video(noise=300_000)
OTHER = video(seconds=7, noise=200_000)
ETAG = 'etag: "v1"'


def _ignore() -> None:
    """Be told of progress and do nothing about it."""


@pytest.fixture
def downloader(ssl_context: ssl.SSLContext) -> Downloader:
    """Return a downloader that may fetch from 127.0.0.1."""
    return Downloader(["127.0.0.1"], timeout=5, connections=4, ssl_context=ssl_context)


@pytest.fixture
def fetch(downloader: Downloader, server: ScriptedServer) -> Callable[..., Result]:
    """Return a function that fetches a video, each request of which has its own answer."""

    def run(*answers: Script) -> Result:
        left = iter(answers)

        def script(wire: Wire) -> None:
            next(left)(wire)

        server.script = script
        return downloader.fetch(f"{server.url}/a.mp4?sig=1", _ignore, VIDEO)

    return run


def _cut(kept: int, *headers: str, whole: bytes = WHOLE) -> Script:
    """Return an answer that promises all and breaks off."""
    return lambda wire: wire.say(head(200, f"content-length: {len(whole)}", *headers), whole[:kept])


def _rest(first: int, *headers: str, kept: int | None = None, status: int = 206) -> Script:
    """Return an answer that holds the rest, or promises it and breaks off."""
    size = len(WHOLE)
    lines = (f"content-range: bytes {first}-{size - 1}/{size}", f"content-length: {size - first}")

    def script(wire: Wire) -> None:
        wire.say(head(status, *lines, *(headers or (ETAG,))), WHOLE[first:kept])

    return script


def _taken(result: Result, whole: bytes = WHOLE) -> bool:
    with result.file:
        same = result.file.read() == whole
    return same and (result.size, result.sha256) == (len(whole), sha256(whole).digest())


def test_it_goes_on_where_it_stopped(fetch: Callable[..., Result], server: ScriptedServer) -> None:
    """The rest is asked for by its place and version, with the link as it is and no key."""
    assert _taken(fetch(_cut(100_000, ETAG), _rest(100_000)))

    first, second = server.requests
    assert "range" not in first.headers
    assert (second.target, second.headers["range"]) == (first.target, "bytes=100000-")
    assert second.headers["if-range"] == '"v1"'


def test_it_goes_on_several_times(fetch: Callable[..., Result]) -> None:
    """Each answer brings it further."""
    parts = (_rest(50_000, kept=90_000), _rest(90_000, kept=90_001), _rest(90_001))

    assert _taken(fetch(_cut(50_000, ETAG), *parts))


def test_a_host_that_falls_silent_is_asked_for_the_rest(
    server: ScriptedServer, ssl_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence in the middle is an interruption like any other."""
    monkeypatch.setattr(download, "_STALL_TIMEOUT", 0.2)
    downloader = Downloader(["127.0.0.1"], timeout=5, connections=1, ssl_context=ssl_context)

    def script(wire: Wire) -> None:
        if len(server.requests) == 1:
            _cut(100_000, ETAG)(wire)
            wire.stall()
        else:
            _rest(100_000)(wire)

    server.script = script

    assert _taken(downloader.fetch(server.url, _ignore, VIDEO))


def test_another_version_is_taken_from_its_beginning(fetch: Callable[..., Result]) -> None:
    """A host that sends all of it anew is believed, and no bytes are mixed."""
    anew = _cut(len(OTHER), 'etag: "v2"', whole=OTHER)

    assert _taken(fetch(_cut(100_000, ETAG), anew), OTHER)


@pytest.mark.parametrize(
    "headers",
    [(), ('etag: W/"v1"',), (ETAG, "accept-ranges: none"), ("last-modified: yesterday",)],
)
def test_without_a_version_it_is_begun_anew_later(
    fetch: Callable[..., Result], server: ScriptedServer, headers: tuple[str, ...]
) -> None:
    """What is not known to be the same bytes is not put together."""
    with pytest.raises(Transient, match="could not be fetched"):
        fetch(_cut(100_000, *headers))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "rest",
    [
        _rest(99_999),
        _rest(100_001),
        _rest(100_000, 'etag: "v2"'),
        _rest(100_000, ETAG, "content-range: bytes 100000-100001/100002"),
        lambda wire: wire.say(head(206, ETAG, "content-length: 5"), b"12345"),
        lambda wire: wire.say(head(416, "content-length: 0")),
        lambda wire: wire.say(head(500, "content-length: 0")),
    ],
)
def test_what_is_not_the_rest_is_refused(fetch: Callable[..., Result], rest: Script) -> None:
    """Another place, version or length is tried again from the beginning later."""
    with pytest.raises(Transient, match="answered"):
        fetch(_cut(100_000, ETAG), rest)


def test_a_rest_that_ends_too_early_is_no_whole(fetch: Callable[..., Result]) -> None:
    """An answer that calls itself complete and lacks bytes is noticed by the total length."""
    size = len(WHOLE)

    def short(wire: Wire) -> None:
        lines = (ETAG, f"content-range: bytes 100000-{size - 1}/{size}", "content-length: 9")
        wire.say(head(206, *lines), WHOLE[100_000:100_009])

    with pytest.raises(Transient, match=f"has 100009 bytes instead of {size}"):
        fetch(_cut(100_000, ETAG), short)


def test_a_rest_of_other_bytes_is_noticed(fetch: Callable[..., Result]) -> None:
    """The checksum of the first answer covers the whole."""
    check = base64.b64encode(md5(b"other", usedforsecurity=False).digest()).decode()

    with pytest.raises(Transient, match="Content-MD5"):
        fetch(_cut(100_000, ETAG, f"content-md5: {check}"), _rest(100_000))


def test_a_link_that_dies_meanwhile_is_gone(fetch: Callable[..., Result]) -> None:
    """The provider is asked for a better one then."""
    with pytest.raises(ResultGone):
        fetch(_cut(100_000, ETAG), lambda wire: wire.say(head(403, "content-length: 0")))


def test_a_host_that_brings_nothing_is_not_asked_again(
    fetch: Callable[..., Result], server: ScriptedServer
) -> None:
    """Each further request must have brought something."""
    with pytest.raises(Transient, match="could not be fetched"):
        fetch(_cut(100_000, ETAG), _rest(100_000, kept=100_000))
    assert len(server.requests) == 2


def test_a_host_that_always_breaks_off_is_left_alone(
    downloader: Downloader, server: ScriptedServer
) -> None:
    """A byte at a time is not gone along with for ever."""

    def script(wire: Wire) -> None:
        asked = len(server.requests)
        at = 1000 + asked
        (_cut(at, ETAG) if asked == 1 else _rest(at - 1, kept=at))(wire)

    server.script = script

    with pytest.raises(Transient, match="could not be fetched"):
        downloader.fetch(server.url, _ignore, VIDEO)
    assert len(server.requests) == 11


def test_a_large_result_has_more_time(server: ScriptedServer, ssl_context: ssl.SSLContext) -> None:
    """The time limit of one that states its length grows with it."""
    downloader = Downloader(["127.0.0.1"], timeout=0.2, connections=1, ssl_context=ssl_context)
    whole = video(noise=4_000_000)

    def script(wire: Wire) -> None:
        wire.say(head(200, f"content-length: {len(whole)}"), whole[:1000])
        wire.dribble(b"", times=5, every=0.1)
        wire.say(whole[1000:])

    server.script = script

    assert _taken(downloader.fetch(server.url, _ignore, VIDEO), whole)
