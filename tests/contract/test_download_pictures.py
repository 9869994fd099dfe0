"""A result is whole by its first picture's own marks, and stored as it came."""

import base64
import ssl
import struct
from hashlib import md5, sha256
from zlib import crc32

import pytest

from core.errors import Transient
from tests.contract.scripted_server import ScriptedServer, answer
from tests.image_files import JPEGS, OTHERS, PHOTO, PNGS, WEBPS, drawn
from worker.clients.download import Downloader

ALL = {
    **{f"jpg, {name}": make for name, make in JPEGS.items()},
    **{f"png, {name}": make for name, make in PNGS.items()},
    **{f"webp, {name}": make for name, make in WEBPS.items()},
}


def _ignore() -> None:
    """Be told of progress and do nothing about it."""


@pytest.fixture
def downloader(ssl_context: ssl.SSLContext) -> Downloader:
    """Return a downloader that may fetch from 127.0.0.1."""
    return Downloader(["127.0.0.1"], timeout=5, connections=4, ssl_context=ssl_context)


@pytest.mark.parametrize("name", ALL)
def test_a_whole_file_is_taken_as_it_came(
    downloader: Downloader, server: ScriptedServer, name: str
) -> None:
    """Padding, further pictures and thumbnails cost no image; size and type are the first one's."""
    body = ALL[name]()
    server.script = answer(200, body)

    result = downloader.fetch(server.url, _ignore)

    with result.file:
        assert result.file.read() == body
    assert (result.size, result.sha256) == (len(body), sha256(body).digest())
    assert result.extension == name.partition(",")[0]
    assert result.facts == {"width": 320, "height": 200}


def test_a_photo_with_a_second_picture_is_a_jpeg(
    downloader: Downloader, server: ScriptedServer
) -> None:
    """What cameras write, and a model may pass on, is stored whole, as `image/jpeg`."""
    body = PHOTO.read_bytes()
    server.script = answer(200, body, "content-type: image/mpo")

    result = downloader.fetch(server.url, _ignore)

    with result.file:
        assert result.file.read() == body
    assert result.content_type == "image/jpeg"


@pytest.mark.parametrize("name", ["further pictures", "64 kB of zeros", "thumbnail"])
def test_a_picture_that_is_cut_before_its_end_is_refused(
    downloader: Downloader, server: ScriptedServer, name: str
) -> None:
    """What lies behind an end, or within a segment, is not taken for the picture's own end."""
    body = JPEGS[name]()
    end = len(drawn("JPEG")) if name == "64 kB of zeros" else body.rindex(b"\xff\xd9")
    cut = body[: 2 * end // 5] + bytes(len(body) - 2 * end // 5)
    server.script = answer(200, cut if name == "64 kB of zeros" else cut[: end // 4])

    with pytest.raises(Transient, match="not a whole image"):
        downloader.fetch(server.url, _ignore)


@pytest.mark.parametrize("side", [4000, 60_000, 2**31 - 1])
def test_a_png_that_states_more_than_it_holds_is_refused(
    downloader: Downloader, server: ScriptedServer, side: int
) -> None:
    """Its chunks and checksums are right, but its data cannot be a picture of that size."""
    body = drawn("PNG", (40, 30))
    header = b"IHDR" + struct.pack(">II", side, side) + body[24:29]
    check = struct.pack(">I", crc32(header))
    server.script = answer(200, body[:12] + header + check + body[33:])

    with pytest.raises(Transient, match=f"too little data for {side} x {side} pixels"):
        downloader.fetch(server.url, _ignore)


@pytest.mark.parametrize("name", OTHERS)
def test_another_format_is_refused_by_its_name(
    downloader: Downloader, server: ScriptedServer, name: str
) -> None:
    """A format that cannot be stored is named, so that an operator sees which one was made."""
    server.script = answer(200, OTHERS[name])

    with pytest.raises(Transient, match=f"the result is {name}, not JPEG"):
        downloader.fetch(server.url, _ignore)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_bytes_behind_the_picture_are_checked_as_well(
    downloader: Downloader, server: ScriptedServer, kind: str
) -> None:
    """A `Content-MD5` covers the padding, also behind a PNG, whose own checksums do not."""
    body = drawn(kind) + bytes(50)
    check = base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
    server.script = answer(200, body[:-1] + b"!", f"content-md5: {check}")

    with pytest.raises(Transient, match="Content-MD5"):
        downloader.fetch(server.url, _ignore)


@pytest.mark.parametrize(
    ("stated", "fine"),
    [
        ("bytes 0-{last}/{size}", True),
        ("bytes 0-{last}/*", False),
        ("bytes 1-{last}/{size}", False),
        ("bytes 0-{last}/9999999", False),
        ("bytes */{size}", False),
        ("", False),
    ],
)
def test_a_part_that_is_the_whole(
    downloader: Downloader, server: ScriptedServer, stated: str, *, fine: bool
) -> None:
    """A 206 that nobody asked for is an image if its range holds all of it, else tried again."""
    body = drawn("JPEG")
    content_range = stated.format(last=len(body) - 1, size=len(body))
    server.script = answer(206, body, f"content-range: {content_range}")

    if fine:
        downloader.fetch(server.url, _ignore).file.close()
    else:
        with pytest.raises(Transient, match="206"):
            downloader.fetch(server.url, _ignore)


def test_a_part_that_only_says_it_is_the_whole(
    downloader: Downloader, server: ScriptedServer
) -> None:
    """A 206 with fewer bytes than its range is no whole."""
    body = drawn("JPEG")
    server.script = answer(206, body, f"content-range: bytes 0-{len(body)}/{len(body) + 1}")

    with pytest.raises(Transient, match="bytes instead of"):
        downloader.fetch(server.url, _ignore)
