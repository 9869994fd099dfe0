"""Reads mp4 files as far as tests need it, and makes small ones to send."""

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from sandbox.generation.mp4 import video_file
from sandbox.requests.clips import Clip


@dataclass(frozen=True)
class Track:
    """One track: its codec, its size in pixels, its length, and its frames."""

    codec: str
    size: tuple[int, int]
    seconds: float
    frames: list[bytes]


@dataclass(frozen=True)
class Movie:
    """An mp4: its boxes in their order, its length, and its tracks by handler."""

    boxes: list[str]
    seconds: float
    tracks: Mapping[str, Track]


def movie(seconds: float = 5.0, size: tuple[int, int] = (128, 96), *, audio: bool = True) -> bytes:
    """Return a small mp4."""
    return video_file(Image.new("RGB", size, "teal"), Clip(seconds, audio)).whole()


def movie_base64(seconds: float = 5.0, *, audio: bool = True) -> str:
    """Return a small mp4 as base64."""
    return base64.b64encode(movie(seconds, audio=audio)).decode()


def read_movie(data: bytes) -> Movie:
    """Return what an mp4 holds; it must be whole."""
    boxes = parse(data)
    inner = parse(dict(boxes)["moov"])
    scale, length = struct.unpack_from(">II", dict(inner)["mvhd"], 12)
    tracks = dict(_track(content, data) for kind, content in inner if kind == "trak")
    return Movie([kind for kind, _ in boxes], length / scale, tracks)


def parse(data: bytes) -> list[tuple[str, bytes]]:
    """Return kind and content of the boxes that fill the data."""
    boxes = []
    start = 0
    while start < len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        assert 8 <= length <= len(data) - start, f"{kind} is cut off"
        boxes.append((kind.decode(), data[start + 8 : start + length]))
        start += length
    return boxes


def _track(content: bytes, data: bytes) -> tuple[str, Track]:
    track = dict(parse(content))
    media = dict(parse(track["mdia"]))
    table = dict(parse(dict(parse(media["minf"]))["stbl"]))
    scale, length = struct.unpack_from(">II", media["mdhd"], 12)
    (runs,) = struct.unpack_from(">I", table["stts"], 4)
    durations = list(struct.iter_unpack(">II", table["stts"][8:]))
    sizes = [size for (size,) in struct.iter_unpack(">I", table["stsz"][12:])]
    (start,) = struct.unpack_from(">I", table["stco"], 8)
    ends = [start + sum(sizes[: index + 1]) for index in range(len(sizes))]
    assert len(durations) == runs
    assert sum(count for count, _ in durations) == len(sizes)
    assert sum(count * units for count, units in durations) == length
    width, height = struct.unpack(">II", track["tkhd"][-8:])
    frames = [data[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    codec = table["stsd"][12:16].decode()
    return media["hdlr"][8:12].decode(), Track(
        codec, (width >> 16, height >> 16), length / scale, frames
    )
