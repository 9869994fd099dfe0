"""Where time goes in a running process: py-spy's samples, sorted by what they were for."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

#: Samples per second.
RATE = 200
#: Frames that are less than so large a part of all samples are left out of a picture.
_SMALLEST = 0.008
_DEEPEST = 26
#: Whose frames are shown one by one; of the others, neighbours of one library become one frame.
_OURS = ("core/", "service/", "worker/")
#: What only starts others is Python's own.
_STARTERS = ("threading", "concurrent", "<frozen runpy>")
#: A thread whose innermost frame is one of these waits; py-spy cannot always tell.
_WAITS = (
    "Condition.wait (", "_worker (concurrent/", "SocketIO.readinto (", "do_poll (", ".select (",
    "read_from_socket (", "_socket_can_read (", "SyncStream.read (", "lock.acquire (",
)  # fmt: skip


@contextmanager
def recorded(spy: Path, pid: int, seconds: float, file: Path) -> Iterator[None]:
    """Sample a process while the body runs, and wait for the samples' file.

    Raises:
        OSError: py-spy may not look into the process.
    """
    recording = subprocess.Popen(
        [
            str(spy), "record", "--pid", str(pid), "--duration", str(round(seconds)),
            "--rate", str(RATE), "--format", "raw", "--function", "--output", str(file),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield
        _, said = recording.communicate(timeout=seconds + 20)
    except BaseException:
        recording.kill()
        recording.wait()
        raise
    if recording.returncode:
        raise OSError(f"py-spy: {said.decode(errors='replace')[-300:]}")


def stacks(text: str) -> Counter[tuple[str, ...]]:
    """Read py-spy's raw format: frames from the outermost in, then samples; waits left out."""
    found: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = re.sub(r":\d+\)", ")", stack).split(";")
        if not any(wait in frames[-1] for wait in _WAITS):
            found[tuple(frames)] += int(samples)
    return found


def shares(
    found: Mapping[tuple[str, ...], int], rules: Sequence[tuple[str, str]]
) -> list[tuple[str, float]]:
    """Return what part of the samples each rule explains, the largest first.

    Args:
        found: Samples by stack.
        rules: A label and a part of a frame's text; a stack belongs to the first rule that
            matches any of its frames, or its innermost one where the part ends in `$`.
    """
    parts: Counter[str] = Counter()
    for frames, samples in found.items():
        text = ";".join(frames) + "$"
        label = next((label for label, mark in rules if mark in text), "everything else")
        parts[label] += samples
    total = sum(parts.values())
    return [(label, samples / total) for label, samples in parts.most_common()]


def condensed(found: Mapping[tuple[str, ...], int]) -> Counter[tuple[str, ...]]:
    """Return the stacks with our functions, and the libraries between them by name alone."""
    shorter: Counter[tuple[str, ...]] = Counter()
    for frames, samples in found.items():
        names = [_shown(frame) for frame in frames]
        kept = (name for name, before in zip(names, [None, *names], strict=False) if name != before)
        shorter[tuple(kept)] += samples
    return shorter


def _shown(frame: str) -> str:
    path = frame.rpartition("(")[2].rstrip(")")
    if path.startswith(_OURS):
        return frame
    library = path.partition("/")[0].removesuffix(".py")
    return "Python" if library in _STARTERS else library


def pruned(found: Mapping[tuple[str, ...], int]) -> dict[str, list[int]]:
    """Return the stacks without what is too small to be seen, as a picture has them."""
    total = sum(found.values())
    inside: Counter[tuple[str, ...]] = Counter()
    for frames, samples in found.items():
        for depth in range(1, min(len(frames), _DEEPEST) + 1):
            inside[frames[:depth]] += samples
    seen: Counter[str] = Counter()
    for frames, samples in found.items():
        depth = min(len(frames), _DEEPEST)
        while depth and inside[frames[:depth]] < _SMALLEST * total:
            depth -= 1
        seen[";".join(frames[:depth])] += samples
    return {stack: [samples] for stack, samples in seen.items()}
