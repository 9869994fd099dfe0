"""A video's file is read by its boxes: what it is, how long, how large, and whether it is whole."""

import io
import struct
import tempfile
from collections.abc import Callable
from random import Random

import pytest

from core.media.mp4 import BadVideo, Video, begins_as_video, read_video
from tests.video_files import (
    NOISE,
    OTHERS,
    VIDEOS,
    box,
    ftyp,
    full,
    header,
    of_changing_rate,
    trak,
    video,
)


def _read(data: bytes) -> Video:
    return read_video(io.BytesIO(data), len(data))


@pytest.mark.parametrize("kind", VIDEOS)
def test_a_whole_file_is_known_with_its_facts(kind: str) -> None:
    """Wherever a file states them, its duration, rate, size and tracks are found."""
    found = _read(VIDEOS[kind]())

    tracks = ("video", "audio") if kind == "with sound" else ("video",)
    assert found == Video(5.0, 24.0, 320, 192, tracks)


@pytest.mark.parametrize(
    ("seconds", "size"), [(20.0, (3840, 2176)), (0.5, (32, 32)), (3600.0, (65_535, 1))]
)
def test_facts_are_those_of_the_file(seconds: float, size: tuple[int, int]) -> None:
    """Short and long, small and large: what is told is what was made."""
    found = _read(video(seconds, size=size))

    assert (found.seconds, found.frames_per_second) == (seconds, 24.0)
    assert (found.width, found.height) == size


def test_a_changing_rate_is_told_as_its_mean() -> None:
    """Frames of different durations count as so many in so much time."""
    assert _read(of_changing_rate()).frames_per_second == 12.0


def test_an_unknown_track_is_named_as_it_is() -> None:
    """Subtitles have their handler's name, and what is no name is called other."""
    frames = trak(b"vide", [(24, 512)], [40])
    text, odd = trak(b"sbtl", [], [], number=2), trak(b"\0\xff,;", [], [], number=3)
    moov = box(b"moov", header(b"mvhd", 1000, 1000), frames, text, odd)

    found = _read(ftyp() + box(b"mdat", bytes(400)) + moov)

    assert found.tracks == ("video", "sbtl", "other")


@pytest.mark.parametrize("kind", VIDEOS)
def test_no_beginning_of_a_file_is_taken_for_it(kind: str) -> None:
    """Cut off anywhere but between two fragments, a file is refused for what it is."""
    whole = VIDEOS[kind]()
    ends = {len(whole) * part // 97 for part in range(1, 97)} | {len(whole) - 1}
    if "fragments" in kind or kind == "a box to the end":
        ends = {end for end in ends if end < len(ftyp()) + 300}
    assert ends

    for end in ends:
        with pytest.raises(BadVideo, match=r"cut off|no moov|no pictures|not an MP4"):
            _read(whole[:end])


def test_samples_that_are_not_there_are_noticed() -> None:
    """A file that ends right behind its tables holds no pictures, whatever they say."""
    tables = box(b"moov", header(b"mvhd", 1000, 5000), trak(b"vide", [(120, 512)], [5000]))

    with pytest.raises(BadVideo, match="cut off"):
        _read(ftyp() + tables)


@pytest.mark.parametrize("name", OTHERS)
def test_another_format_is_named(name: str) -> None:
    """Whoever sends one is told which it is."""
    with pytest.raises(BadVideo, match=rf"^is {name}, not MP4$"):
        _read(OTHERS[name])
    assert not begins_as_video(OTHERS[name])


@pytest.mark.parametrize("data", [b"", b"abc", bytes(5000), NOISE[:5000]])
def test_what_is_no_file_at_all_is_refused(data: bytes) -> None:
    """Nothing, zeros and noise are no video."""
    with pytest.raises(BadVideo, match=r"^is not an MP4 video$"):
        _read(data)


def _moov(*tracks: bytes) -> bytes:
    samples = box(b"mdat", bytes(400))
    return ftyp() + samples + box(b"moov", header(b"mvhd", 1000, 5000), *tracks)


def _resized(data: bytes, kind: bytes, length: int) -> bytes:
    """Return a file one of whose boxes states another length."""
    at = data.index(kind) - 4
    return data[:at] + struct.pack(">I", length) + data[at + 4 :]


DAMAGED: dict[str, Callable[[], bytes]] = {
    "no tables": lambda: ftyp() + box(b"mdat", bytes(400)),
    "a picture's brand": lambda: ftyp(b"avif") + box(b"meta", bytes(400)),
    "no tracks": _moov,
    "sound alone": lambda: _moov(trak(b"soun", [(48_000, 1)], [40])),
    "no frames": lambda: _moov(trak(b"vide", [], [])),
    "no size": lambda: _moov(trak(b"vide", [(24, 512)], [40], size=(0, 192))),
    "no duration": lambda: _moov(trak(b"vide", [(24, 0)], [40])),
    "no ticks in a second": lambda: _moov(trak(b"vide", [(24, 512)], [40], scale=0)),
    "a box shorter than its own head": lambda: _resized(video(), b"trak", 7),
    "a box longer than its outer one": lambda: _resized(video(), b"mdia", 2**31),
    "a table larger than its box": lambda: _moov(
        box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", full(b"stts", b"\0\0\xff\xff")))))
    ),
    "a header without content": lambda: _moov(box(b"trak", box(b"tkhd"))),
    "zeros behind its end": lambda: video() + bytes(64),
    "two tables": lambda: video() + video()[len(ftyp()) :],
    "a fragment of no known track": lambda: (
        video() + box(b"moof", box(b"traf", full(b"tfhd", struct.pack(">I", 9))))
    ),
    "samples of no track": lambda: video() + box(b"moof", box(b"traf", full(b"trun", bytes(4)))),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_refused(kind: str) -> None:
    """Boxes that contradict each other are told as what they are; nothing else is raised."""
    with pytest.raises(BadVideo, match=r"^is not a whole video: the MP4 "):
        _read(DAMAGED[kind]())


def test_a_file_of_very_many_boxes_is_bounded() -> None:
    """Neither empty boxes nor long tables keep a reader busy."""
    many = ftyp() + box(b"free") * 200_000
    table = full(b"stts", struct.pack(">I", 2_000_000), bytes(16_000_000))
    long = _moov(box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", table)))))

    for data in (many, long):
        with pytest.raises(BadVideo, match="too many parts"):
            _read(data)


@pytest.mark.parametrize("seed", range(20))
def test_any_changed_bytes_are_read_or_refused(seed: int) -> None:
    """Whatever is changed in the tables, a file is described or refused as a bad video."""
    random, whole = Random(seed), video()  # noqa: S311 - the same bytes at each run
    tables = whole.index(b"moov")
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            data[random.randrange(tables, len(data))] = random.randrange(256)
        try:
            found = _read(bytes(data))
        except BadVideo:
            continue
        assert found.width


def test_a_file_on_disk_is_read_like_one_in_memory() -> None:
    """Only headers are read, wherever the file is."""
    data = video(noise=3_000_000)
    with tempfile.TemporaryFile() as file:
        file.write(data)

        assert read_video(file, len(data)) == _read(data)
