"""A result that has the right length may still hold wrong bytes."""

import base64
import ssl
from collections.abc import Callable
from hashlib import md5

import pytest

from core.errors import Transient
from tests.contract.scripted_server import ScriptedServer, Wire, answer, head
from worker.clients.download import Downloader

Draw = Callable[[str], bytes]


def _ignore() -> None:
    """Be told of progress and do nothing about it."""


@pytest.fixture
def downloader(ssl_context: ssl.SSLContext) -> Downloader:
    """Return a downloader that may fetch from 127.0.0.1."""
    return Downloader(["127.0.0.1"], timeout=5, connections=4, ssl_context=ssl_context)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_checksum_that_comes_along_is_checked(
    downloader: Downloader, server: ScriptedServer, picture: Draw, kind: str
) -> None:
    """Bytes that are not those of `Content-MD5` are refused, though length and form are right.

    A PNG has checksums of its own, which are looked at first.
    """
    body = picture(kind)
    check = base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
    server.script = answer(200, body, f"content-md5: {check}")
    downloader.fetch(server.url, _ignore).file.close()
    middle = len(body) // 2
    wrong = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    server.script = answer(200, wrong, f"content-md5: {check}")

    mark = "not a whole image" if kind == "PNG" else "Content-MD5"
    with pytest.raises(Transient, match=mark):
        downloader.fetch(server.url, _ignore)


@pytest.mark.parametrize("check", ["", "!", "bm90IHNpeHRlZW4=", "deadbeef"])
def test_a_checksum_that_is_none_is_passed_over(
    downloader: Downloader, server: ScriptedServer, picture: Draw, check: str
) -> None:
    """A `Content-MD5` that is not one, as a proxy may leave it, costs no image."""
    server.script = answer(200, picture("JPEG"), f"content-md5: {check}")

    downloader.fetch(server.url, _ignore).file.close()


@pytest.mark.parametrize("place", [12, 20, 0.3, 0.6, -14])
def test_a_png_is_checked_by_its_own_checksums(
    downloader: Downloader, server: ScriptedServer, picture: Draw, place: float
) -> None:
    """A wrong bit in any chunk of a PNG is noticed without `Content-MD5`."""
    body = bytearray(picture("PNG"))
    body[int(place * len(body)) if 0 < place < 1 else int(place)] ^= 1
    server.script = answer(200, bytes(body))

    with pytest.raises(Transient, match=r"not a whole image|not an image"):
        downloader.fetch(server.url, _ignore)


def test_a_length_that_comes_along_is_checked(
    downloader: Downloader, server: ScriptedServer, picture: Draw
) -> None:
    """A proxy that was cut off may end its own answer well, and pass the whole length on."""
    body = picture("JPEG")

    def script(wire: Wire) -> None:
        wire.say(head(200, "transfer-encoding: chunked", f"content-length: {len(body) + 1}"))
        wire.say(f"{len(body):x}\r\n".encode(), body, b"\r\n0\r\n\r\n")

    server.script = script

    with pytest.raises(Transient, match="bytes instead of"):
        downloader.fetch(server.url, _ignore)
