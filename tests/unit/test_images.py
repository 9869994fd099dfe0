"""Images that come as base64 are decoded and looked at, but never unpacked."""

import base64
import re
import secrets
import struct
import zlib
from collections.abc import Callable
from hashlib import sha256

import pytest
from PIL import Image

from core.provider.catalogue import LARGEST_IMAGE_BYTES, LARGEST_IMAGE_PIXELS, Kind, Parameter
from service.http.problems import FieldError
from service.intake.file_checks import InputFile, check_file, decoded
from tests.image_files import JPEGS, PHOTO, PNGS, WEBPS

Encode = Callable[..., str]
IMAGE = Parameter(kind=Kind.IMAGE)


def decode_image(path: str, text: str, parameter: Parameter = IMAGE) -> InputFile | FieldError:
    """Decode and check an image."""
    return check_file(path, parameter, decoded(text, parameter))


def _field_error(text: str) -> FieldError:
    result = decode_image("input.input_image", text)
    assert isinstance(result, FieldError)
    assert result.field == "input.input_image"
    assert str(LARGEST_IMAGE_BYTES) in result.allowed
    assert str(LARGEST_IMAGE_PIXELS) in result.allowed
    assert result.fix
    return result


def _is_whole(result: InputFile | FieldError, data: bytes, content_type: str) -> None:
    assert isinstance(result, InputFile)
    assert (result.file.read(), result.content_type) == (data, content_type)
    assert result.sha256 == sha256(data).digest()


def _png(width: int, height: int, data: bytes = b"") -> bytes:
    """Return a PNG that states a size, whatever its data holds (PNG specification, section 11)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_three_formats(encoded: Encode, kind: str, content_type: str, mode: str) -> None:
    """The bytes come back as they were, with the type that they have."""
    text = encoded(kind, mode=mode)

    _is_whole(decode_image("f", text), base64.b64decode(text), content_type)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda text: f"data:image/png;base64,{text}",
        lambda text: f"DATA:;BASE64,{text}",
        lambda text: f"data:image/jpeg;name=a.jpg;base64,{text}",
        lambda text: "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
        lambda text: f"  {text}\n",
        lambda text: f"data:image/png;base64,\n{text}",
    ],
)
def test_usual_wrappings(encoded: Encode, wrapped: Callable[[str], str]) -> None:
    """A data: prefix, whatever type it claims, line breaks and blanks make no difference."""
    text = encoded("PNG")

    _is_whole(decode_image("f", wrapped(text)), base64.b64decode(text), "image/png")


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: text.rstrip("=")[:-1],
        lambda text: text + "=",
        lambda text: text[:8] + "*" + text[8:],
        lambda text: text[:8] + "-_" + text[10:] + "A",
        lambda _: "no base64 at all!",
        lambda _: "AA=A",
        lambda _: "====",
        lambda _: "ä" * 8,
        lambda _: "\ud800" * 8,
        lambda _: "/home/user/picture.png.",
        lambda _: "ftp://example.com/a.png",
    ],
)
def test_what_is_no_base64(encoded: Encode, broken: Callable[[str], str]) -> None:
    """Broken padding, foreign alphabets and paths are told from broken images."""
    assert "base64" in _field_error(broken(encoded("PNG"))).detail


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello world!",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\x00\x00\x00\x00WEBP",
        b"RIFF\x04\x00\x00\x00WEBPVP8X",
        b"RIFF\x1a\x00\x00\x00WEBPVP8L" + bytes(18),
        b"RIFF\x1a\x00\x00\x00WEBPVP8 " + bytes(18),
        b"RIFF\x1a\x00\x00\x00WEBPALPH" + bytes(18),
        _png(0, 0),
        bytes(100_000),
    ],
)
def test_what_is_no_image(data: bytes) -> None:
    """Other files, and heads of images without an image, are refused."""
    detail = _field_error(_base64(data)).detail
    assert re.match(r"is (not an image|not a whole image|SVG|PDF)", detail)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "ICO"])
def test_other_formats_are_refused(encoded: Encode, kind: str) -> None:
    """Only what the provider is known to read is taken; what came is named."""
    assert _field_error(encoded(kind)).detail == f"is {kind}, not JPEG, PNG or WebP"


@pytest.mark.parametrize("name", JPEGS)
def test_any_file_whose_first_picture_is_a_jpeg(name: str) -> None:
    """Padding, further pictures and what cameras write make no difference; it stays as it is."""
    data = JPEGS[name]()

    _is_whole(decode_image("f", _base64(data)), data, "image/jpeg")


def test_a_camera_s_photo() -> None:
    """A photo with a second picture behind the first is taken, as the JPEG that it is."""
    data = PHOTO.read_bytes()

    _is_whole(decode_image("f", _base64(data)), data, "image/jpeg")


@pytest.mark.parametrize("name", PNGS)
def test_every_usual_png(name: str) -> None:
    """Depth, palette, transparency, animation and padding make no difference."""
    data = PNGS[name]()

    _is_whole(decode_image("f", _base64(data)), data, "image/png")


@pytest.mark.parametrize("name", WEBPS)
def test_every_usual_webp(name: str) -> None:
    """Transparency, animation, profiles and padding make no difference."""
    data = WEBPS[name]()

    _is_whole(decode_image("f", _base64(data)), data, "image/webp")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_part_of_an_image_is_refused(encoded: Encode, kind: str, kept: float) -> None:
    """The provider would refuse it later, so it is told at once, by the rule that results have."""
    whole = base64.b64decode(encoded(kind, size=(400, 300)))

    field_error = _field_error(_base64(whole[: int(len(whole) * kept)]))

    assert "not a whole image" in field_error.detail
    assert "cut off" in field_error.detail
    assert "whole" in field_error.fix


def test_a_lying_prefix_is_refused(encoded: Encode) -> None:
    """What counts is what the bytes are, not what the prefix says."""
    assert "is GIF" in _field_error("data:image/png;base64," + encoded("GIF")).detail


def test_too_many_bytes() -> None:
    """At the limit in bytes an image is taken, one more is refused, before it is looked at."""
    image = _png(8, 8, bytes(200))
    at_limit = image + bytes(LARGEST_IMAGE_BYTES - len(image))

    assert isinstance(decode_image("f", _base64(at_limit)), InputFile)
    field_error = _field_error(_base64(at_limit + b"\x00"))
    assert field_error.detail == f"has {LARGEST_IMAGE_BYTES + 1} bytes"


@pytest.mark.parametrize(
    ("width", "height", "detail"),
    [
        (5000, 4000, None),
        (4001, 5000, "has 20005000 pixels"),
        (20_000_001, 1, "has 20000001 pixels"),
        (
            30_000,
            30_000,
            "is not a whole image: the PNG has too little data for 30000 x 30000 pixels",
        ),
        (
            2**31 - 1,
            2**31 - 1,
            "is not a whole image: the PNG has too little data for 2147483647 x 2147483647 pixels",
        ),
    ],
)
def test_too_many_pixels_are_seen_without_unpacking(
    width: int, height: int, detail: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes that would unpack to gigabytes are refused by their head alone."""

    def unpack(_: Image.Image) -> None:
        pytest.fail("the pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", unpack)
    # Noise does not shrink: 60 kB that could be 60 MB of pixels.
    image = _base64(_png(width, height, secrets.token_bytes(60_000)))

    if detail is None:
        assert isinstance(decode_image("f", image), InputFile)
    else:
        assert _field_error(image).detail == detail


def test_a_text_that_would_unpack_to_much_is_never_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compressed comments in a PNG are none of our business, so they cost no memory."""
    content = b"c\x00\x00" + zlib.compress(bytes(80_000_000))
    chunk = struct.pack(">I", len(content)) + b"zTXt" + content
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + content))
    plain = _png(8, 8, bytes(200))
    image = plain[:33] + chunk + plain[33:]
    monkeypatch.setattr("zlib.decompressobj", None)

    _is_whole(decode_image("f", _base64(image)), image, "image/png")


def test_an_image_is_not_kept_open(encoded: Encode) -> None:
    """The bytes that come back are the caller's, apart from any open file."""
    result = decode_image("f", encoded("JPEG"))

    assert isinstance(result, InputFile)
    assert Image.open(result.file).size == (40, 30)


@pytest.mark.parametrize(
    ("width", "height", "detail"),
    [
        (256, 256, None),
        (255, 256, "has 255 x 256 pixels"),
        (256, 255, "has 256 x 255 pixels"),
        (200, 200, "has 200 x 200 pixels"),
        (1000, 300, None),
        (1001, 300, "has 300300 pixels"),
    ],
)
def test_bounds_of_a_parameter_s_own(width: int, height: int, detail: str | None) -> None:
    """A parameter may have a shortest side and fewer pixels; errors name both bounds."""
    own = Parameter(kind=Kind.IMAGES, shortest_side=256, most_pixels=300_000)
    noise = secrets.token_bytes(20_000)

    result = decode_image("f", _base64(_png(width, height, noise)), own)

    if detail is None:
        assert isinstance(result, InputFile)
    else:
        assert isinstance(result, FieldError)
        assert result.detail == detail
        assert "300000 pixels, with sides of at least 256 pixels" in result.allowed
