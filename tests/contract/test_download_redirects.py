"""A result's host may send us on, within what is allowed, and gets nothing of ours for it."""

import ssl
from collections.abc import Callable, Iterator, Mapping

import pytest

from core.errors import Transient
from tests.contract.scripted_server import ScriptedServer, Wire, answer
from worker.clients.download import Downloader, LinkRefused, ResultGone

Draw = Callable[[str], bytes]
SIGNED = "/results/sample.jpeg?se=2030-01-01T00%3A00%3A00Z&sig=very-secret-signature"


def _ignore() -> None:
    """Be told of progress and do nothing about it."""


@pytest.fixture
def downloader(ssl_context: ssl.SSLContext) -> Downloader:
    """Return a downloader that may fetch from 127.0.0.1 and localhost, wherever that leads."""
    return Downloader(["127.0.0.1", "localhost"], timeout=5, connections=4, ssl_context=ssl_context)


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    """Return a second server."""
    with ScriptedServer() as server:
        yield server


def _sends_on(server: ScriptedServer, places: Mapping[str, str], body: bytes = b"") -> None:
    """Let a server redirect from some paths to some places, and answer all else with a body."""

    def script(wire: Wire) -> None:
        place = places.get(server.requests[-1].target)
        if place is None:
            answer(200, body)(wire)
        else:
            answer(302, b"<a>there</a>", f"location: {place}", "set-cookie: a=b; Path=/")(wire)

    server.script = script


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(
    *,
    downloader: Downloader,
    server: ScriptedServer,
    other: ScriptedServer,
    picture: Draw,
    status: int,
) -> None:
    """Each kind of redirect leads to the image, on another allowed host too, with nothing of ours.

    The signed link is not told either, as a `Referer` would do.
    """
    place = f"http://localhost:{other.port}/there?sig=2"
    server.script = answer(status, b"moved", f"location: {place}", "set-cookie: a=b; Path=/")
    other.script = answer(200, picture("PNG"))

    downloader.fetch(server.url + SIGNED, _ignore).file.close()

    (request,) = other.requests
    assert (request.method, request.target) == ("GET", "/there?sig=2")
    assert not {"x-key", "authorization", "cookie", "referer"} & set(request.headers)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/there?a=b", "/there?a=b"),
        ("there", "/results/there"),
        ("../there", "/there"),
        ("?sig=2", "/results/first?sig=2"),
        ("{url}/there#part", "/there"),
        ("//127.0.0.1:{port}/there", "/there"),
        ("  /there", "/there"),
    ],
)
def test_a_relative_place_is_understood(
    *,
    downloader: Downloader,
    server: ScriptedServer,
    picture: Draw,
    location: str,
    target: str,
) -> None:
    """Where a redirect leads is read from where it comes (RFC 9110 section 10.2.2)."""
    place = location.format(url=server.url, port=server.port)
    _sends_on(server, {"/results/first": place}, picture("PNG"))

    downloader.fetch(f"{server.url}/results/first", _ignore).file.close()

    assert server.requests[-1].target == target


def test_five_hops_are_enough(
    downloader: Downloader, server: ScriptedServer, picture: Draw
) -> None:
    """Five redirects lead to the image; after the sixth it is left alone until the next try."""
    _sends_on(server, {f"/{hop}": f"/{hop + 1}" for hop in range(1, 6)}, picture("PNG"))
    downloader.fetch(f"{server.url}/1", _ignore).file.close()
    assert len(server.requests) == 6

    _sends_on(server, {f"/{hop}": f"/{hop + 1}" for hop in range(6)}, picture("PNG"))
    with pytest.raises(Transient, match="302 after 5 redirects"):
        downloader.fetch(f"{server.url}/0", _ignore)
    assert len(server.requests) == 12


@pytest.mark.parametrize(
    "places",
    [{"/a": "/a"}, {"/a": "/b", "/b": "/a"}, {"/a": "/b", "/b": "/c", "/c": "/b"}],
)
def test_a_circle_ends(
    downloader: Downloader, server: ScriptedServer, places: Mapping[str, str]
) -> None:
    """A redirect that leads back to where we were is not followed for ever."""
    _sends_on(server, places)

    with pytest.raises(Transient, match="redirect loop"):
        downloader.fetch(f"{server.url}/a", _ignore)
    assert len(server.requests) == len(places)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("http://127.0.0.2:{port}/x", "FLUXRELAY_RESULT_HOSTS does not allow: 127.0.0.2"),
        ("http://169.254.169.254/latest/", "does not allow: 169.254.169.254"),
        ("https://evil.example/x", "does not allow: evil.example"),
        ("//evil.example/x", "does not allow: evil.example"),
        ("http://127.0.0.1.evil.example/", "does not allow: 127.0.0.1.evil.example"),
        ("http://user:word@127.0.0.1:{port}/x", "user name or password"),
        ("file:///etc/passwd", "neither http:// nor https://"),
        ("ftp://127.0.0.1/x", "neither http:// nor https://"),
        ("http://[::1", "an invalid URL"),
        ("http://127.0.0.1:port/", "an invalid URL"),
        ("http://127.0.0.1:{port}\\@evil.example/", "user name or password"),
    ],
)
def test_a_hop_that_is_not_allowed_is_never_called(
    *,
    downloader: Downloader,
    server: ScriptedServer,
    other: ScriptedServer,
    place: str,
    reason: str,
) -> None:
    """Each hop is checked as the first was; the error names the host, and no signature."""
    place = place.format(port=other.port)
    server.script = answer(302, b"", f"location: {place}")

    with pytest.raises(LinkRefused, match=reason) as caught:
        downloader.fetch(f"{server.url}/1?sig=very-secret-signature", _ignore)

    assert "very-secret-signature" not in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "")
    assert (len(server.requests), len(other.requests)) == (1, 0)


def test_the_second_hop_is_checked_like_the_first(
    downloader: Downloader, server: ScriptedServer, other: ScriptedServer
) -> None:
    """An allowed host that sends us on to a strange one does not vouch for it."""
    server.script = answer(302, b"", f"location: http://localhost:{other.port}/")
    other.script = answer(302, b"", "location: https://evil.example/")

    with pytest.raises(LinkRefused, match=r"does not allow: evil\.example"):
        downloader.fetch(f"{server.url}/", _ignore)


def test_a_host_that_leads_inside_is_not_called_behind_a_redirect(
    server: ScriptedServer, ssl_context: ssl.SSLContext
) -> None:
    """The guard of sockets holds for each hop: a suffix does not vouch for private addresses."""
    downloader = Downloader(
        ["127.0.0.1", ".0.0.2"], timeout=5, connections=4, ssl_context=ssl_context
    )
    server.script = answer(302, b"", f"location: http://127.0.0.2:{server.port}/")

    with pytest.raises(Transient, match="AddressRefused"):
        downloader.fetch(f"{server.url}/", _ignore)
    assert len(server.requests) == 1


@pytest.mark.parametrize("headers", [(), ("location:",), ("location:   ",)])
def test_a_redirect_to_nowhere_is_tried_again(
    downloader: Downloader, server: ScriptedServer, headers: tuple[str, ...]
) -> None:
    """A redirect without a place says so."""
    server.script = answer(307, b"", *headers)

    with pytest.raises(Transient, match="307 without a Location"):
        downloader.fetch(f"{server.url}/", _ignore)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_dead_end_behind_a_redirect_is_gone(
    downloader: Downloader, server: ScriptedServer, other: ScriptedServer, status: int
) -> None:
    """What the last hop says is what counts."""
    server.script = answer(302, b"", f"location: http://localhost:{other.port}/")
    other.script = answer(status)

    with pytest.raises(ResultGone, match=str(status)):
        downloader.fetch(f"{server.url}/", _ignore)


def test_all_hops_have_one_time_limit(
    server: ScriptedServer, other: ScriptedServer, ssl_context: ssl.SSLContext
) -> None:
    """Hops that are slow one by one are bounded as a whole; a head byte by byte is, too."""
    downloader = Downloader(["127.0.0.1"], timeout=0.6, connections=4, ssl_context=ssl_context)
    server.script = answer(302, b"", f"location: {other.url}/")

    def script(wire: Wire) -> None:
        wire.say(b"HTTP/1.1 200 Said\r\nx: ")
        wire.dribble(b"x", times=1000, every=0.05)

    other.script = script

    with pytest.raises(Transient, match="took too long"):
        downloader.fetch(f"{server.url}/", _ignore)
