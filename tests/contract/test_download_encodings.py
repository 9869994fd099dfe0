"""An encoding that nobody asked for costs no image, and fills no memory."""

import base64
import gzip
import ssl
import zlib
from collections.abc import Callable
from dataclasses import replace
from hashlib import md5

import pytest

from core.errors import Transient
from core.media.contents import IMAGE
from tests.contract.scripted_server import ScriptedServer, Wire, answer, head
from tests.image_files import drawn
from worker.clients.download import Downloader

Encode = Callable[[bytes], bytes]


def _raw_deflate(data: bytes) -> bytes:
    """Deflate without zlib's frame, as some servers send it."""
    return zlib.compress(data, wbits=-15)


def _in_members(data: bytes) -> bytes:
    """Compress each half on its own."""
    return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])


ENCODINGS: dict[str, tuple[str, Encode]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip in members": ("gzip", _in_members),
    "gzip with padding": ("gzip", lambda data: gzip.compress(data) + bytes(600)),
    "gzip by its old name": ("X-GZip", gzip.compress),
    "gzip and nothing": ("identity, gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", _raw_deflate),
    "none": ("identity", bytes),
    "empty": ("", bytes),
    "gzip in name only": ("gzip", bytes),
    "deflate in name only": ("deflate", bytes),
}


def _ignore() -> None:
    """Be told of progress and do nothing about it."""


def _checksum(data: bytes) -> str:
    return base64.b64encode(md5(data, usedforsecurity=False).digest()).decode()


@pytest.fixture
def downloader(ssl_context: ssl.SSLContext) -> Downloader:
    """Return a downloader that may fetch from 127.0.0.1."""
    return Downloader(["127.0.0.1"], timeout=5, connections=4, ssl_context=ssl_context)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_is_undone(
    downloader: Downloader, server: ScriptedServer, name: str, kind: str
) -> None:
    """What was encoded on the way is stored as it was made; none was asked for."""
    coding, encode = ENCODINGS[name]
    body = drawn(kind)
    server.script = answer(200, encode(body), f"content-encoding: {coding}")

    result = downloader.fetch(server.url, _ignore)

    with result.file:
        assert result.file.read() == body
    (request,) = server.requests
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "name",
    ["gzip", "gzip in members", "gzip with padding", "deflate", "raw deflate", "gzip in name only"],
)
def test_encoded_bytes_may_come_one_by_one(
    downloader: Downloader, server: ScriptedServer, name: str
) -> None:
    """However the bytes are cut on their way, and however long they are in all, they are undone."""
    coding, encode = ENCODINGS[name]
    body = drawn("JPEG", (16, 16))
    encoded = encode(body)

    def script(wire: Wire) -> None:
        wire.say(head(200, f"content-encoding: {coding}", "transfer-encoding: chunked"))
        for byte in encoded:
            wire.say(b"1\r\n" + bytes([byte]) + b"\r\n")
        wire.say(b"0\r\n\r\n")

    server.script = script

    result = downloader.fetch(server.url, _ignore)

    with result.file:
        assert result.file.read() == body


@pytest.mark.parametrize("of", ["encoded", "stored"])
@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_the_checksum_may_be_of_either_bytes(
    downloader: Downloader, server: ScriptedServer, name: str, of: str
) -> None:
    """A `Content-MD5` is of the encoded bytes by its standard, of the stored ones in Azure."""
    coding, encode = ENCODINGS[name]
    body = drawn("JPEG")
    check = _checksum(encode(body) if of == "encoded" else body)
    server.script = answer(
        200, encode(body), f"content-encoding: {coding}", f"content-md5: {check}"
    )

    downloader.fetch(server.url, _ignore).file.close()


def test_a_checksum_of_neither_is_refused(downloader: Downloader, server: ScriptedServer) -> None:
    """Encoded bytes whose checksum is wrong are as wrong as others."""
    body = gzip.compress(drawn("JPEG"))
    check = _checksum(b"something else")
    server.script = answer(200, body, "content-encoding: gzip", f"content-md5: {check}")

    with pytest.raises(Transient, match="Content-MD5"):
        downloader.fetch(server.url, _ignore)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "made-up", "gzip;q=1"])
def test_an_unknown_encoding_is_asked_for_once_more(
    downloader: Downloader, server: ScriptedServer, coding: str
) -> None:
    """A proxy that heeds the plainer request sends the image as it is."""
    body = drawn("JPEG")

    def script(wire: Wire) -> None:
        plainly = "no-transform" in server.requests[-1].headers.get("cache-control", "")
        headers = () if plainly else (f"content-encoding: {coding}",)
        answer(200, body if plainly else b"who knows", *headers)(wire)

    server.script = script

    downloader.fetch(server.url, _ignore).file.close()

    assert [request.headers["accept-encoding"] for request in server.requests] == [
        "identity",
        "identity, *;q=0",
    ]


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br"])
def test_an_encoding_that_stays_unknown_is_named(
    downloader: Downloader, server: ScriptedServer, coding: str
) -> None:
    """Asked twice, the host sends it all the same: until the next try, whose error names it."""
    server.script = answer(200, b"who knows", f"content-encoding: {coding}")

    with pytest.raises(Transient, match=f"unknown content encoding {coding}"):
        downloader.fetch(server.url, _ignore)
    assert len(server.requests) == 2


@pytest.mark.parametrize("coding", ["utf-8", "binary", "aws-chunked", "base64", "gzip, br"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_unknown_encoding_in_name_only_costs_no_image(
    downloader: Downloader, server: ScriptedServer, coding: str, kind: str
) -> None:
    """Whoever stored the image named an encoding that its bytes do not have, for good."""
    body = drawn(kind)
    server.script = answer(200, body, f"content-encoding: {coding}")

    result = downloader.fetch(server.url, _ignore)

    with result.file:
        assert result.file.read() == body


def test_a_part_of_an_image_in_an_unknown_encoding_is_refused(
    downloader: Downloader, server: ScriptedServer
) -> None:
    """That it begins as an image does not make it a whole one."""
    server.script = answer(200, drawn("JPEG")[:-100], "content-encoding: utf-8")

    with pytest.raises(Transient, match="cut off"):
        downloader.fetch(server.url, _ignore)


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
def test_a_bomb_is_bounded(downloader: Downloader, server: ScriptedServer, name: str) -> None:
    """A few bytes that unpack to very many are given up at the limit of a result."""
    coding, encode = ENCODINGS[name]
    server.script = answer(200, encode(bytes(50_000_000)), f"content-encoding: {coding}")

    with pytest.raises(Transient, match="decompresses to more than"):
        downloader.fetch(server.url, _ignore, replace(IMAGE, largest=1_000_000))


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
@pytest.mark.parametrize("kept", [0, 5, -200])
def test_encoded_bytes_that_are_cut_off_are_refused(
    downloader: Downloader, server: ScriptedServer, name: str, kept: int
) -> None:
    """A part of what was encoded is no image, though its length is as stated."""
    coding, encode = ENCODINGS[name]
    part = encode(drawn("JPEG"))[:kept]
    server.script = answer(200, part, f"content-encoding: {coding}")

    with pytest.raises(Transient, match=r"cannot be unpacked|not an image|not a whole image"):
        downloader.fetch(server.url, _ignore)


def test_a_cut_trailer_is_noticed(downloader: Downloader, server: ScriptedServer) -> None:
    """The picture is whole, but the checksum of its encoded bytes did not come with them."""
    part = gzip.compress(drawn("JPEG"))[:-6]
    server.script = answer(200, part, "content-encoding: gzip")

    with pytest.raises(Transient, match="truncated"):
        downloader.fetch(server.url, _ignore)


def test_wrong_encoded_bytes_are_refused(downloader: Downloader, server: ScriptedServer) -> None:
    """Noise that is called gzip is to be fetched again."""
    server.script = answer(200, b"noise" * 100, "content-encoding: gzip")

    with pytest.raises(Transient, match="do not match"):
        downloader.fetch(server.url, _ignore)


def test_the_length_is_of_the_encoded_bytes(downloader: Downloader, server: ScriptedServer) -> None:
    """A length that comes along is compared with the bytes that came, not with what they hold."""
    body = gzip.compress(drawn("JPEG"))

    def script(wire: Wire) -> None:
        length = f"content-length: {len(body) + 1}"
        wire.say(head(200, "transfer-encoding: chunked", "content-encoding: gzip", length))
        wire.say(f"{len(body):x}\r\n".encode(), body, b"\r\n0\r\n\r\n")

    server.script = script

    with pytest.raises(Transient, match="bytes instead of"):
        downloader.fetch(server.url, _ignore)
