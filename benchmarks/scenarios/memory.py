"""Scenario 7: does the copier's memory grow with the images and videos?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from benchmarks.probes.context import SLOTS, Context
from benchmarks.probes.process_costs import forget_peak, peak_bytes
from benchmarks.product import worker_sets
from benchmarks.product.deployment import Deployment
from benchmarks.report.outcome import Outcome, Plot, Row, at_most
from benchmarks.report.statistics import median, turned

TITLE = "Memory of the copier: from 1 MB images to a 300 MB video"
SECONDS = 300
ABOUT = """\
200 copies (100 in the second round) with 24 at a time by one collect worker, once of 1 MB PNGs \
and once of 20 MB, by turns, each by a process that was just started and made 24 small copies \
before. Then, by such a process each, a video of 300 MB, which S3 gets in parts; twenty PNGs of 30 \
MB; and all of these together. Their host lets each download wait for a second, so that all are \
under way at the same time, and their stored bytes are read back and compared with it by SHA-256. \
The video is a complete MP4, filled up to its size with noise. What counts is the largest resident \
memory while they ran (`VmHWM`, after a write to `/proc/PID/clear_refs`)."""
_SMALL, _LARGE = 1_000_000, 20_000_000
_BASE: Final = "1 MB images"
_MOST: Final = 1.2


class Files(NamedTuple):
    """Results of one kind and size in bytes, which are ready at the same time."""

    number: int
    size: int
    video: bool = False

    @property
    def name(self) -> str:
        """What the fake services call the file."""
        return f"{self.size}.{'mp4' if self.video else 'png'}"


@dataclass
class Seen:
    """What was seen of one load.

    Attributes:
        peaks: Bytes, by round.
        downloads: Most at a time.
        differing: Stored files with other bytes than their host sent.
    """

    peaks: list[int] = field(default_factory=list)
    downloads: int = 0
    differing: int = 0

    @property
    def peak(self) -> float:
        """Megabytes, the median of the rounds."""
        return median(self.peaks) / 1e6

    @property
    def rounds(self) -> str:
        """Each round's peak in megabytes."""
        return ", ".join(f"{peak / 1e6:.0f}" for peak in self.peaks)


def run(context: Context) -> Outcome:
    """Measure it."""
    count, rounds = context.pick(200, 8), context.pick(2, 1)
    sizes = {
        f"{size // 10**6} MB images": size for size in (_SMALL, context.pick(_LARGE, 5 * _SMALL))
    }
    seen: dict[str, Seen] = defaultdict(Seen)
    with Deployment(slots=SLOTS, concurrency=SLOTS, workers={"sweep": 1}) as deployment:
        for turn in range(rounds):
            for label, size in turned(sizes.items(), turn):
                context.say(f"round {turn + 1} of {rounds}: {label}")
                # The peak depends on how many are under way, not on how many there are.
                _copy(deployment, [Files(count // (1 + turn), size)], seen[label])
        large = _large(context)
        for label, load in large.items():
            context.say(label)
            posted = _copy(deployment, load, seen[label], hold=1)
            seen[label].differing = _differing(deployment, load, posted)
    return outcome({label: seen[label] for label in sizes}, {label: seen[label] for label in large})


def _large(context: Context) -> Mapping[str, Sequence[Files]]:
    """Return the loads of large files, by what they are called."""
    video = Files(1, context.pick(300_000_000, 70_000_000), video=True)
    images = Files(context.pick(20, 4), context.pick(30_000_000, 5_000_000))
    return {
        f"a {video.size // 10**6} MB video": [video],
        f"{images.number} images of {images.size // 10**6} MB at once": [images],
        "all of these at once": [video, images],
    }


def _copy(
    deployment: Deployment, load: Iterable[Files], seen: Seen, *, hold: int = 0
) -> list[list[str]]:
    """Have a new process copy results, and note its peak; return the jobs of each kind."""
    with worker_sets.ours(deployment) as workers:
        (copier,) = (each.pid for each in workers if "collect" in each.name)
        warm = deployment.post(SLOTS, "bytes=100000 seconds=0", callback=False)
        deployment.wait_ended(warm, 30, told=False)
        deployment.forget()
        forget_peak(copier)
        posted = [
            deployment.post(
                files.number,
                f"bytes={files.size} seconds=0 hold={hold}",
                callback=False,
                video=files.video,
            )
            for files in load
        ]
        for jobs in posted:
            deployment.wait_ended(jobs, 200, told=False)
        seen.peaks.append(peak_bytes(copier))
    seen.downloads = int(deployment.books()["downloads_most"])
    return posted


def _differing(deployment: Deployment, load: Iterable[Files], posted: Iterable[list[str]]) -> int:
    """Return how many stored files are not what their host sent."""
    made = deployment.books()["files"]
    return sum(
        digest != made[files.name]
        for files, jobs in zip(load, posted, strict=True)
        for digest in deployment.stored_digests(jobs)
    )


def outcome(images: Mapping[str, Seen], large: Mapping[str, Seen]) -> Outcome:
    """Return the rows: each load against the smallest images, and the bytes of the large ones."""
    seen = {**images, **large}
    rows = [
        at_most(
            _MOST,
            what=f"peak with {label}",
            ours=each.peak,
            against=seen[_BASE].peak,
            unit="MB",
            other=f"with {_BASE}",
        )
        for label, each in seen.items()
        if label != _BASE
    ]
    differing = sum(each.differing for each in large.values())
    rows.append(
        Row(
            what="stored files with other bytes than their host's",
            ours=differing,
            unit="",
            goal="0",
            met=differing == 0,
        )
    )
    plot = Plot(
        kind="bars",
        title=f"Largest resident memory of the collect worker, {SLOTS} copies at a time at most",
        x="MB",
        y="",
        series={label: [each.peak] for label, each in seen.items()},
    )
    rounds = "; ".join(f"{label}: {each.rounds}" for label, each in images.items())
    under_way = "; ".join(f"{label}: {each.downloads}" for label, each in seen.items())
    return Outcome(
        title=TITLE,
        about=ABOUT,
        rows=rows,
        plots=[plot],
        notes=[f"Rounds, in MB: {rounds}.", f"Most downloads at a time: {under_way}."],
    )
