"""Results are fetched whole, from the provider's hosts only, in bounded memory and time."""

import ssl
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from unittest.mock import sentinel

import pytest

from core.errors import Transient
from core.media.contents import IMAGE
from tests.contract.scripted_server import Script, ScriptedServer, Wire, answer, head
from worker.clients import download
from worker.clients.download import Downloader, LinkRefused, ResultGone

SIGNED = "/results/sample.jpeg?se=2030-01-01T00%3A00%3A00Z&sig=very-secret-signature"
Draw = Callable[[str], bytes]


def _ignore() -> None:
    """Be told of progress and do nothing about it."""


@pytest.fixture
def downloader(ssl_context: ssl.SSLContext) -> Downloader:
    """Return a downloader that may fetch from 127.0.0.1 and below .bfl.ai."""
    return Downloader(["127.0.0.1", ".bfl.ai"], timeout=5, connections=4, ssl_context=ssl_context)


@pytest.mark.parametrize(
    ("kind", "content_type", "extension"),
    [
        ("JPEG", "image/jpeg", "jpg"),
        ("PNG", "image/png", "png"),
        ("WEBP", "image/webp", "webp"),
    ],
)
def test_a_whole_image_is_taken(
    *,
    downloader: Downloader,
    server: ScriptedServer,
    picture: Draw,
    kind: str,
    content_type: str,
    extension: str,
) -> None:
    """The bytes come back as they were sent, with their checksum, type and size in pixels."""
    body = picture(kind)
    server.script = answer(200, body, "content-type: application/octet-stream")
    beats: list[object] = []

    result = downloader.fetch(server.url + SIGNED, lambda: beats.append(sentinel.alive))

    with result.file:
        assert result.file.read() == body
    assert (result.size, result.sha256) == (len(body), sha256(body).digest())
    assert (result.content_type, result.extension) == (content_type, extension)
    assert result.facts == {"width": 320, "height": 200}
    assert beats


def test_no_key_of_ours_is_sent(
    downloader: Downloader, server: ScriptedServer, picture: Draw
) -> None:
    """The request holds the signed URL as it is, and neither a key nor credentials."""
    server.script = answer(200, picture("PNG"))

    downloader.fetch(server.url + SIGNED, _ignore).file.close()

    (request,) = server.requests
    assert (request.method, request.target) == ("GET", SIGNED)
    assert not {"x-key", "authorization", "cookie"} & set(request.headers)


def test_an_image_of_unstated_length_is_taken(
    downloader: Downloader, server: ScriptedServer, picture: Draw
) -> None:
    """Where the host states no length, the image's own end says that it is whole."""
    body = picture("PNG")
    server.script = lambda wire: wire.say(head(200), body)

    result = downloader.fetch(server.url, _ignore)

    result.file.close()
    assert result.size == len(body)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.5, 0.99])
@pytest.mark.parametrize("stated", ["true length", "cut length", "no length"])
def test_a_cut_image_is_refused(
    *,
    downloader: Downloader,
    server: ScriptedServer,
    picture: Draw,
    kind: str,
    kept: float,
    stated: str,
) -> None:
    """A part of an image is no image, whether or not its length gives it away."""
    whole = picture(kind)
    part = whole[: int(len(whole) * kept)]
    scripts: dict[str, Script] = {
        "true length": answer(200, part, length=len(whole)),
        "cut length": answer(200, part),
        "no length": lambda wire: wire.say(head(200), part),
    }
    server.script = scripts[stated]

    with pytest.raises(Transient, match=r"could not be fetched|not a whole image|not an image"):
        downloader.fetch(server.url, _ignore)


@pytest.mark.parametrize(
    "body", [b"", b"<html>sorry</html>", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(64), bytes(5000)]
)
def test_what_is_no_image_is_refused(
    downloader: Downloader, server: ScriptedServer, body: bytes
) -> None:
    """A page, a format that the provider does not make, and noise are to be fetched again."""
    server.script = answer(200, body, "content-type: image/jpeg")

    with pytest.raises(Transient, match=r"is not an? (whole )?image|is (HTML|GIF), not"):
        downloader.fetch(server.url, _ignore)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_dead_url_is_gone(downloader: Downloader, server: ScriptedServer, status: int) -> None:
    """The answers of an expired URL say that it is gone, and name the status."""
    server.script = answer(status, b"<Error>AuthenticationFailed</Error>")

    with pytest.raises(ResultGone, match=str(status)):
        downloader.fetch(server.url + SIGNED, _ignore)


@pytest.mark.parametrize("status", [204, 206, 300, 304, 400, 416, 429, 500, 503])
def test_any_other_answer_is_tried_again(
    downloader: Downloader, server: ScriptedServer, picture: Draw, status: int
) -> None:
    """Only 200 brings an image, and only the redirects that name a place are followed."""
    server.script = answer(status, picture("PNG"), f"location: {server.url}/elsewhere")

    with pytest.raises(Transient, match=str(status)):
        downloader.fetch(server.url + SIGNED, _ignore)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/sample.jpeg",
        "http://127.0.0.2/sample.jpeg",
        "http://127.0.0.1.evil.example/",
        "https://evilbfl.ai/",
        "https://delivery.bfl.ai@evil.example/",
        "ftp://127.0.0.1/sample.jpeg",
        "file:///etc/passwd",
        "//127.0.0.1/sample.jpeg",
        "sample.jpeg",
        "",
        "http://[::1",
        "http://127.0.0.1:port/",
        "http://127.0.0.1/\x00",
    ],
)
def test_other_hosts_are_refused_for_good(downloader: Downloader, url: str) -> None:
    """A URL outside the list, or none at all, is refused and opens no connection."""
    with pytest.raises(LinkRefused, match=r"FLUXRELAY_RESULT_HOSTS does not allow|result's link"):
        downloader.fetch(url, _ignore)


@pytest.mark.parametrize(
    "script",
    [
        answer(500),
        answer(200, b"no image"),
        answer(200, b"short", length=999),
        lambda _wire: None,
        lambda wire: wire.say(b"HTTP/1.1 nonsense\r\n\r\n"),
    ],
)
def test_no_error_holds_the_signed_url(
    downloader: Downloader, server: ScriptedServer, script: Script
) -> None:
    """Whoever reads the log cannot fetch the image: the signature is in no error's text."""
    server.script = script

    with pytest.raises(Transient) as caught:
        downloader.fetch(server.url + SIGNED, _ignore)
    assert "very-secret-signature" not in str(caught.value)


def test_a_refused_connection_is_tried_again(ssl_context: ssl.SSLContext) -> None:
    """A host that is away is no reason to give the image up."""
    with ScriptedServer() as server:
        url = server.url
    downloader = Downloader(["127.0.0.1"], timeout=5, connections=1, ssl_context=ssl_context)

    with pytest.raises(Transient, match="ConnectError"):
        downloader.fetch(url, _ignore)


def test_a_stall_is_bounded(
    server: ScriptedServer, ssl_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that falls silent in the middle is given up."""
    monkeypatch.setattr(download, "_STALL_TIMEOUT", 0.2)
    downloader = Downloader(["127.0.0.1"], timeout=5, connections=1, ssl_context=ssl_context)

    def script(wire: Wire) -> None:
        wire.say(head(200, "content-length: 1000"), b"x" * 10)
        wire.stall()

    server.script = script

    with pytest.raises(Transient, match="ReadTimeout"):
        downloader.fetch(server.url, _ignore)


def test_a_trickle_is_bounded_and_shows_a_sign_of_life(
    server: ScriptedServer, ssl_context: ssl.SSLContext
) -> None:
    """A host that sends byte by byte is given up in the middle; until then the lease is kept."""
    downloader = Downloader(["127.0.0.1"], timeout=0.5, connections=1, ssl_context=ssl_context)

    def script(wire: Wire) -> None:
        wire.say(head(200, "content-length: 1000"))
        wire.dribble(b"x", times=1000, every=0.05)

    server.script = script
    beats: list[object] = []

    with pytest.raises(Transient, match="took too long"):
        downloader.fetch(server.url, lambda: beats.append(sentinel.alive))
    assert len(beats) > 1


def test_a_result_that_is_too_large_is_refused_early(
    server: ScriptedServer, downloader: Downloader
) -> None:
    """Past the limit nothing more is read, however much there is."""

    def script(wire: Wire) -> None:
        wire.say(head(200))
        wire.dribble(bytes(100_000), times=10_000, every=0)

    server.script = script

    with pytest.raises(Transient, match=r"too large \([3-9]\d{5} bytes\)"):
        downloader.fetch(server.url, _ignore, replace(IMAGE, largest=300_000))


def test_a_length_beyond_the_limit_is_refused_unread(
    server: ScriptedServer, downloader: Downloader
) -> None:
    """Of a result that says it is too large, not a byte is waited for."""

    def script(wire: Wire) -> None:
        wire.say(head(200, "content-length: 300001"))
        wire.stall()

    server.script = script

    with pytest.raises(Transient, match=r"too large \(300001 bytes\)"):
        downloader.fetch(server.url, _ignore, replace(IMAGE, largest=300_000))


def test_memory_is_bounded(
    server: ScriptedServer,
    downloader: Downloader,
    picture: Draw,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond a limit the bytes lie in a file on disk."""
    monkeypatch.setattr(download, "_MAX_IN_MEMORY", 10_000)
    body = picture("PNG")
    assert len(body) > 10_000
    server.script = answer(200, body)

    result = downloader.fetch(server.url, _ignore)

    with result.file:
        assert result.file.fileno() > 0
        assert result.file.read() == body
