"""A picture's file is read by its own marks: what it is, where it ends, how large it is."""

import io
import struct
import tempfile
from collections.abc import Callable
from zlib import compress, crc32

import pytest
from PIL import Image

from core.media import image_formats
from core.media.image_formats import BadImage, Picture, begins_as_image, read_picture
from tests.image_files import JPEGS, OTHERS, PHOTO, PNGS, WEBPS, drawn

ALL = {
    **{f"JPEG, {name}": make for name, make in JPEGS.items()},
    **{f"PNG, {name}": make for name, make in PNGS.items()},
    **{f"WebP, {name}": make for name, make in WEBPS.items()},
}
#: Those whose last byte is their first picture's.
EXACT = {
    name: make
    for name, make in ALL.items()
    if not any(
        word in name for word in ("padding", "behind", "zeros", "blanks", "further", "piece")
    )
}


def _read(data: bytes) -> Picture:
    return read_picture(io.BytesIO(data), len(data))


@pytest.mark.parametrize("name", ALL)
def test_a_whole_file_is_known_with_its_size(name: str) -> None:
    """Every usual way to write a file is whole, with the format and the size of its picture."""
    data = ALL[name]()

    picture = _read(data)

    assert picture.format.name == name.partition(",")[0]
    assert (picture.width, picture.height) == (320, 200)
    assert picture.end == len(data) if name in EXACT else picture.end < len(data)


def test_a_camera_s_photo_is_its_first_picture() -> None:
    """A photo with a second picture behind the first is a JPEG that ends before the second."""
    data = PHOTO.read_bytes()

    picture = _read(data)

    assert picture.format.extension == "jpg"
    assert picture.end == data.index(b"\xff\xd9") + 2


@pytest.mark.parametrize("name", EXACT)
def test_a_file_that_is_cut_anywhere_is_not_whole(name: str) -> None:
    """Wherever a file is cut, its marks lead to no end; not even its last byte may be missing."""
    data = EXACT[name]()
    places = {*range(0, len(data), len(data) // 60), *range(1, 60), len(data) - 2, len(data) - 1}

    for place in places:
        with pytest.raises(BadImage):
            _read(data[:place])


@pytest.mark.parametrize("piece", [9, 10, 64, 1021])
@pytest.mark.parametrize("name", ["plain", "progressive", "restarts", "thumbnail", "fill bytes"])
def test_marks_are_found_across_the_pieces_that_are_read(
    monkeypatch: pytest.MonkeyPatch, piece: int, name: str
) -> None:
    """Where one piece ends and the next begins makes no difference."""
    data = JPEGS[name]()
    expected = _read(data)
    monkeypatch.setattr(image_formats, "_PIECE", piece)

    assert _read(data) == expected


@pytest.mark.parametrize("name", OTHERS)
def test_another_format_is_told_by_its_name(name: str) -> None:
    """Who sends, or makes, a format that is not taken is told which one came."""
    with pytest.raises(BadImage, match=f"is {name}, not JPEG, PNG or WebP"):
        _read(OTHERS[name])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc32(name + data))


def _png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _head(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def _jpeg_without(marker: int) -> bytes:
    """Return a JPEG without its segments of this kind."""
    whole = drawn("JPEG", (64, 64))
    at = whole.index(bytes([0xFF, marker]))
    length = int.from_bytes(whole[at + 2 : at + 4], "big")
    return whole[:at] + whole[at + 2 + length :]


def _jpeg_with(marker: int, offset: int, value: int) -> bytes:
    """Return a JPEG with another byte in a segment."""
    data = bytearray(drawn("JPEG", (64, 64)))
    data[data.index(bytes([0xFF, marker])) + offset] = value
    return bytes(data)


_DATA, _END = _chunk(b"IDAT", b"x"), _chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(5000),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xff\xd9",
        b"\xff\xd8" + b"\xff" * 300_000,
        b"\xff\xd8\xff\xe0\x00\x00" * 50_000,
        _jpeg_without(0xC0),
        _jpeg_without(0xDA),
        _jpeg_with(0xC0, 4, 12),
        _jpeg_with(0xC0, 9, 2),
        _jpeg_with(0xDB, 1, 0x02),
        drawn("JPEG")[:2000] + b"\xff\xd8\xff" + drawn("JPEG"),
        _png(),
        _png(_head(8, 8), _END),
        _png(_DATA, _head(8, 8), _END),
        _png(_head(0, 8), _DATA, _END),
        _png(_head(8, 8, 7), _DATA, _END),
        _png(_head(8, 8, 8, 5), _DATA, _END),
        _png(_chunk(b"IHDR", b"short"), _DATA, _END),
        _png(_head(8, 8), _DATA[:-1] + b"!", _END),
        _png(_head(8, 8), _DATA),
        b"RIFF\x00\x00\x00\x00WEBP",
        b"RIFF\x04\x00\x00\x00WEBPVP8X",
        b"RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00" + bytes(10),
        b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(400),
    ],
)
def test_what_holds_no_whole_picture_is_refused(data: bytes) -> None:
    """Empty heads, missing or damaged parts and noise are told apart from pictures, and named."""
    with pytest.raises(BadImage, match=r"is not an? (whole )?image|is an unsupported JPEG"):
        _read(data)


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"\xff\xd8\xff\xfe" + b"\x00\x02\xff\xfe" * 500_000,
        lambda: _png(_head(8, 8), *[_chunk(b"IDAT", b"")] * 200_000, _END),
        lambda: b"RIFF\x08\x00\x20\x00WEBP" + b"VP8X\x00\x00\x00\x00" * 300_000,
        lambda: (
            b"RIFF\x0c\x00\x20\x00WEBPVP8L\x05\x00\x00\x00/\x07\xc0\x01\x00\x00"
            + b"junk\x00\x00\x00\x00" * 270_000
        ),
    ],
)
def test_a_file_of_countless_parts_is_given_up(make: Callable[[], bytes]) -> None:
    """Somebody who sends millions of empty parts costs little time."""
    with pytest.raises(BadImage):
        _read(make())


def test_a_file_on_disk_is_read_as_well() -> None:
    """Large files lie on disk; where the reading begins is not where the file stands."""
    data = drawn("JPEG")
    with tempfile.TemporaryFile() as file:
        file.write(data)

        assert read_picture(file, len(data)).end == len(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_how_a_picture_begins(kind: str) -> None:
    """Twelve bytes tell an image from other files."""
    assert begins_as_image(drawn(kind)[:12])
    assert not begins_as_image(b"\x1f\x8b" + drawn(kind)[:10])


def _stated(width: int, height: int, color: int, depth: int, data: bytes) -> bytes:
    """Return a PNG that states this header and holds this compressed data."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return _png(_chunk(b"IHDR", header), _chunk(b"IDAT", data), _END)


@pytest.mark.parametrize(
    ("width", "height", "color", "depth"),
    [(60_000, 60_000, 2, 8), (2**31 - 1, 1, 0, 1), (1, 2**31 - 1, 6, 16), (4000, 3000, 3, 8)],
)
def test_a_png_that_states_more_pixels_than_its_data_can_hold_is_not_whole(
    width: int, height: int, color: int, depth: int
) -> None:
    """Deflate cannot make so much of so little; nothing is decompressed to find out."""
    with pytest.raises(BadImage, match=f"too little data for {width} x {height} pixels"):
        _read(_stated(width, height, color, depth, compress(bytes(1000))))


@pytest.mark.parametrize(
    ("color", "depth", "bits"), [(0, 1, 1), (0, 16, 16), (2, 8, 24), (3, 2, 2), (6, 16, 64)]
)
def test_a_png_of_one_color_is_whole(color: int, depth: int, bits: int) -> None:
    """It is compressed as far as deflate goes."""
    rows = bytes((1 + 4000 * bits // 8) * 3000)
    picture = _read(_stated(4000, 3000, color, depth, compress(rows, 9)))
    assert (picture.width, picture.height) == (4000, 3000)


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"subsampling": 2, "quality": 1}])
def test_a_jpeg_that_states_more_pixels_than_its_data_can_hold_is_not_whole(
    how: dict[str, object],
) -> None:
    """Each block of pixels takes at least a bit; a picture of one color is whole all the same."""
    file = io.BytesIO()
    Image.new("RGB", (4000, 3000), "white").save(file, "JPEG", **how)
    data = file.getvalue()
    assert _read(data).width == 4000
    stated = struct.pack(">HH", 3000, 4000)
    assert data.count(stated) == 1
    with pytest.raises(BadImage, match="too little data for 65000 x 65000 pixels"):
        _read(data[: data.index(stated)] + struct.pack(">HH", 65_000, 65_000) + _scan(data, stated))


def _scan(data: bytes, stated: bytes) -> bytes:
    """Return what follows the stated size, with hardly any image data."""
    rest = data[data.index(stated) + len(stated) :]
    scan = rest.index(b"\xff\xda")
    return rest[: scan + 200].rstrip(b"\xff") + b"\xff\xd9"
