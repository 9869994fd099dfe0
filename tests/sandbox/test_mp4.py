"""The videos: files that players play, written box by box."""

import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from sandbox.generation.drawing import Scene, draw
from sandbox.generation.h264 import key_frame, parameter_sets, repeated_frame
from sandbox.generation.mp4 import video_file
from sandbox.requests.clips import Clip, VideoInfo, read_video
from tests.e2e.decoder import Decoded, decode, ffmpeg
from tests.sandbox.movies import movie, read_movie


@pytest.mark.parametrize(("seconds", "frames", "sounds"), [(5, 120, 235), (20, 480, 938)])
def test_a_video_has_24_frames_per_second_and_sound(seconds: int, frames: int, sounds: int) -> None:
    """Both tracks are as long as asked, in H.264 and AAC, and the frames are where it says."""
    made = read_movie(movie(seconds))
    video, audio = made.tracks["vide"], made.tracks["soun"]

    assert made.boxes == ["ftyp", "moov", "mdat"]
    assert (made.seconds, video.seconds, audio.seconds) == (seconds, seconds, seconds)
    assert (video.codec, video.size, len(video.frames)) == ("avc1", (128, 96), frames)
    assert (audio.codec, len(audio.frames)) == ("mp4a", sounds)
    assert {frame[4] & 0x1F for frame in video.frames[1:]} == {1}
    assert video.frames[0][4] & 0x1F == 5
    assert all(int.from_bytes(frame[:4], "big") == len(frame) - 4 for frame in video.frames)


def test_a_video_without_sound_has_one_track() -> None:
    """There is no silent track where none is asked for."""
    assert set(read_movie(movie(audio=False)).tracks) == {"vide"}


def test_a_length_of_part_of_a_second_is_met_to_a_frame() -> None:
    """2.04 seconds are 49 frames."""
    assert len(read_movie(movie(2.04)).tracks["vide"].frames) == 49


def test_zeros_make_a_video_larger_without_memory() -> None:
    """They belong to the media data, and the tracks stay as they are."""
    picture = Image.new("RGB", (64, 32), "teal")
    plain = video_file(picture, Clip(1.0, audio=True))
    padded = video_file(picture, Clip(1.0, audio=True), least=100_000, padding=7)

    assert len(padded) == 100_007
    assert len(padded.head) == len(plain)
    assert read_movie(padded.whole()).tracks == read_movie(plain.whole()).tracks
    assert len(video_file(picture, Clip(1.0, audio=True), least=5)) == len(plain)


def test_pieces_of_a_file_are_its_bytes() -> None:
    """Whatever part is asked for, and in whatever pieces."""
    content = video_file(Image.new("RGB", (64, 32)), Clip(1.0, audio=False), padding=600_000)
    whole = content.whole()
    for start, stop, most in ((0, len(whole), 70_000), (10, 11, 5), (9_000, 400_000, 999_999)):
        assert b"".join(content.pieces(start, stop, most)) == whole[start:stop]
    for length in (0, 100, 5_000, 300_000, len(whole)):
        assert content.first(length).whole() == whole[:length]


@pytest.mark.parametrize("size", [(32, 32), (128, 64), (1280, 736), (3840, 2176)])
def test_no_unit_looks_like_a_start_code(size: tuple[int, int]) -> None:
    """Three bytes that are reserved for start codes are in none of them."""
    units = [*parameter_sets(*size), *(repeated_frame(number, *size) for number in range(20))]
    if size[0] < 1000:
        units += [key_frame(Image.new("RGB", size, colour)) for colour in ("black", "yellow")]
    assert not [unit for unit in units if re.search(rb"\0\0[\0\1\2]", unit)]


def test_an_input_video_is_read_as_it_was_made() -> None:
    """Size, length and sound are those of the file."""
    assert read_video(movie(7.5)) == VideoInfo((128, 96), 7.5, audio=True)
    assert read_video(movie(20.0, audio=False)) == VideoInfo((128, 96), 20.0, audio=False)


def test_what_is_no_video_within_the_limits_is_refused() -> None:
    """Not an mp4, cut off anywhere, without its movie, too long, or too large."""
    good = movie(1.0)
    assert read_video(b"") is None
    assert read_video(b"<html>no video</html>") is None
    assert all(read_video(good[:length]) is None for length in range(1, len(good), 97))
    assert read_video(good[32:]) is None
    assert read_video(good.replace(b"moov", b"free")) is None
    assert read_video(movie(20.1)) is None
    assert (
        read_video(good + (50 * 1024 * 1024).to_bytes(4, "big") + b"free" + bytes(52_428_792))
        is None
    )


@pytest.mark.parametrize("size", [(128, 64), (64, 128), (1280, 736)])
def test_a_player_decodes_every_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    """Size, rate, length and sound are as asked, and all frames are read without an error."""
    path = tmp_path / "made.mp4"
    picture = draw(Scene("flux-3-video", "a harbour", 7, *size))
    path.write_bytes(video_file(picture, Clip(5.0, audio=True), padding=1000).whole())

    assert decode(path) == Decoded(size, frames=120, seconds=5.0, sound_seconds=5.0)


def test_a_player_shows_the_image(tmp_path: Path) -> None:
    """The last frame is the drawn image, but for the rounding of its colours."""
    path = tmp_path / "made.mp4"
    picture = draw(Scene("flux-3-video", "a harbour", 7, 256, 128))
    path.write_bytes(video_file(picture, Clip(2.0, audio=False)).whole())

    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    frames = _run(str(ffmpeg()), "-nostdin", "-i", str(path), *raw)

    assert len(frames) == 48 * 256 * 128 * 3
    shown = Image.frombytes("RGB", (256, 128), frames[-256 * 128 * 3 :])
    difference = ImageStat.Stat(ImageChops.difference(shown, picture))
    assert max(difference.mean) < 4


def _run(program: str, *arguments: str) -> bytes:
    """Return a program's output; it may not report an error."""
    ended = subprocess.run(
        [program, "-v", "error", *arguments], capture_output=True, check=True, timeout=60
    )
    assert ended.stderr == b""
    return ended.stdout
