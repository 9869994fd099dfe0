"""Opens a video with a real decoder, FFmpeg, which comes inside a Python package."""

import re
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

_HEADER: Final = re.compile(r"#(\w+) (\d): (.+)")


@dataclass(frozen=True)
class Decoded:
    """What came out of a video, frame by frame."""

    #: Width and height in pixels.
    size: tuple[int, int]
    frames: int
    #: Of all frames, and of the sound; 0 without sound.
    seconds: float
    sound_seconds: float


def decode(path: Path) -> Decoded:
    """Decode a whole video; whatever the decoder complains about fails the test.

    The output has a header with each stream's facts, and then a line for each frame: its stream,
    two times, its duration in units of the stream's time base, size and checksum (FFmpeg formats
    documentation, "framecrc").
    """
    how = ["-nostdin", "-v", "error", "-xerror", "-i", str(path), "-f", "framecrc", "-"]
    done = subprocess.run(
        [str(ffmpeg()), *how], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    facts: dict[tuple[str, str], str] = {}
    durations: dict[str, list[int]] = {}
    for line in done.stdout.splitlines():
        if found := _HEADER.fullmatch(line):
            facts[found[1], found[2]] = found[3].strip()
        elif not line.startswith("#"):
            stream, _, _, duration, *_ = (part.strip() for part in line.split(","))
            durations.setdefault(stream, []).append(int(duration))
    streams = {text: number for (name, number), text in facts.items() if name == "media_type"}
    seconds = {
        number: float(sum(each) * Fraction(facts["tb", number]))
        for number, each in durations.items()
    }
    width, height = facts["dimensions", streams["video"]].split("x")
    return Decoded(
        size=(int(width), int(height)),
        frames=len(durations[streams["video"]]),
        seconds=seconds[streams["video"]],
        sound_seconds=seconds.get(streams.get("audio", ""), 0.0),
    )


def ffmpeg() -> Path:
    """Return the program's path; its name ends with its platform and version."""
    for file in distribution("imageio-ffmpeg").files or ():
        if file.parent.name == "binaries" and file.name.startswith("ffmpeg-"):
            return Path(str(file.locate()))
    raise FileNotFoundError("the package imageio-ffmpeg holds no decoder for this platform")
