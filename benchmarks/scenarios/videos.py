"""Scenario 10: do queued videos delay images?"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.probes.context import SLOTS, Context
from benchmarks.product.jobs import Jobs
from benchmarks.report.outcome import Outcome, Plot, Row, at_most
from benchmarks.report.statistics import median
from stack.options import StackOptions
from stack.stack import Stack

TITLE = "Images beside queued videos"
SECONDS = 240
ABOUT = """\
200 images and 200 videos, queued together and in turns, against 200 images alone: the median time \
of an image from its acceptance to `succeeded`, and how often the sandbox answers 429. The sandbox \
allows 24 active images and 5 active videos, and generates each in 1 s. Real videos take many \
times as long as images, so that fewer of them would be copied meanwhile. The images have 256 x \
256 pixels and come by webhook; the videos (`flux-3-video`) have 2.5 MB and are polled. The \
provider does not say whether videos count towards the 24 active tasks of an account. If they do, \
they leave 19 to the images, which is measured as well."""
_IMAGE, _VIDEO = "flux-pro-1.1", "flux-3-video"
#: Active videos that the provider allows.
_VIDEO_SLOTS: Final = 5
#: An account's limits if videos have slots beside those of images, and if they are among them.
_BESIDE: Final = f"{SLOTS + _VIDEO_SLOTS},{_IMAGE}={SLOTS}"
_AMONG: Final = str(SLOTS)
#: Videos are asked about as soon as they are ready; the catalogue's half minute is for real ones.
_MODEL: Final = {"name": _VIDEO, "like": _VIDEO, "first_poll_seconds": 1.05, "poll_seconds": 0.2}
_RELAY: Final = {
    "FLUXRELAY_WORKER_CONCURRENCY": str(SLOTS),
    "FLUXRELAY_SWEEP_INTERVAL_SECONDS": "0.2",
}
#: Drawing must not be what is measured.
_SANDBOX: Final = {
    "SANDBOX_IMAGE_SIDE": "24",
    "SANDBOX_VIDEO_SCALE": "0.1",
    "SANDBOX_FILE_BYTES": "video=2500000",
}
_BODIES: Final = {
    _IMAGE: {"prompt": "an image", "width": 256, "height": 256},
    _VIDEO: {"mode": "t2v", "prompt": "a video", "duration": 5},
}


@dataclass
class Found:
    """What was found.

    Attributes:
        alone: Seconds of every image, by round, without videos.
        beside: The same with videos that have slots of their own.
        among: The same with videos that take slots from the images.
        videos: How many videos were stored before the last image, by round.
        refused: How often the sandbox answered 429.
        most_videos: Most active videos, as the sandbox counted.
    """

    alone: list[list[float]] = field(default_factory=list)
    beside: list[list[float]] = field(default_factory=list)
    among: list[list[float]] = field(default_factory=list)
    videos: list[int] = field(default_factory=list)
    refused: int = 0
    most_videos: int = 0


class _Relay:
    """A running product with the sandbox as its provider."""

    def __init__(self, stack: Stack, jobs: Jobs) -> None:
        self._ledger_url = f"{stack.sandbox_url}/sandbox/ledger"
        self.jobs = jobs

    def measure(self, images: int, videos: int) -> tuple[list[float], list[str], int]:
        """Queue images and videos together, and wait for the images.

        Returns:
            The seconds of every image, the videos, and how many of them were stored by then.
        """
        queued = [
            {"model": model, "input": _BODIES[model]}
            for turn in range(max(images, videos))
            for model, count in ((_VIDEO, videos), (_IMAGE, images))
            if turn < count
        ]
        posted = self.jobs.post(queued)
        wanted, others = (
            [job["id"] for job in posted if job["model"] == model] for model in (_IMAGE, _VIDEO)
        )
        self.jobs.wait_ended(wanted, 60, told=False)
        ways = self.jobs.timelines(wanted)
        last = max(way["succeeded"] for way in ways)
        stored = [way.get("succeeded", last + 1) <= last for way in self.jobs.timelines(others)]
        return [way["succeeded"] - way["queued"] for way in ways], others, sum(stored)

    def count(self, found: Found) -> None:
        """Note what the sandbox counted."""
        ledger: dict[str, Any] = httpx.get(self._ledger_url, timeout=30, trust_env=False).json()
        found.refused += ledger["rejections"]["429"]
        found.most_videos = max(found.most_videos, ledger["active_most_by_model"][_VIDEO])


def run(context: Context) -> Outcome:
    """Measure it."""
    count, rounds = context.pick(200, 12), context.pick(2, 1)
    found = Found()
    with _running(_BESIDE) as relay:
        for turn in range(rounds):
            context.say(f"round {turn + 1} of {rounds}: {count} images")
            found.alone.append(relay.measure(count, 0)[0])
            context.say(f"round {turn + 1} of {rounds}: {count} images and {count} videos")
            seconds, videos, stored = relay.measure(count, count)
            found.beside.append(seconds)
            found.videos.append(stored)
            if not turn:
                context.say("the other videos")
                relay.jobs.wait_ended(videos, 120, told=False)
        relay.count(found)
    with _running(_AMONG) as relay:
        context.say(f"{count} images and {count} videos that share {SLOTS} slots")
        found.among.append(relay.measure(count, count)[0])
        relay.count(found)
    return outcome(found)


@contextmanager
def _running(slots: str) -> Iterator[_Relay]:
    """Run the product, whose account has these limits at the provider, too."""
    with tempfile.TemporaryDirectory("-bench") as folder:
        models = Path(folder) / "models.json"
        models.write_text(json.dumps({"models": [_MODEL]}), encoding="utf-8")
        options = StackOptions(
            relay_variables={
                **_RELAY,
                "FLUXRELAY_MODELS_FILE": str(models),
                "FLUXRELAY_SLOTS": slots,
            },
            sandbox_variables={**_SANDBOX, "SANDBOX_SLOTS": f"{slots},{_VIDEO}={_VIDEO_SLOTS}"},
        )
        with Stack(options) as stack, stack.redis() as redis:
            relay = _Relay(stack, Jobs(stack.service_url, stack.api_key, redis))
            _, videos, _ = relay.measure(SLOTS, _VIDEO_SLOTS)  # connections are made
            relay.jobs.wait_ended(videos, 60, told=False)
            yield relay


def outcome(found: Found) -> Outcome:
    """Return the rows: the images' median times, and the refusals."""
    alone, beside, among = (
        median(list(map(median, each))) for each in (found.alone, found.beside, found.among)
    )
    facts: dict[str, Any] = {"against": alone, "unit": "s", "other": "images alone"}
    rows = [
        at_most(1.1, what="median time of an image", ours=beside, **facts),
        Row(what="the same if videos count towards the 24", ours=among, **facts),
        Row(what="answers 429", ours=found.refused, unit="", goal="0", met=found.refused == 0),
    ]
    series = {
        "beside videos": found.beside,
        "images alone": found.alone,
        "beside videos that count towards the 24": found.among,
    }
    stored, share = ", ".join(map(str, found.videos)), SLOTS / (SLOTS - _VIDEO_SLOTS)
    meanwhile = f"Videos stored before the last image, by round: {stored}"
    longer = (
        f"If videos count towards the 24, 19 slots make each image wait {share:.2f} times as long"
    )
    return Outcome(
        title=TITLE,
        about=ABOUT,
        rows=rows,
        notes=[
            f"{meanwhile}; most active at a time: {found.most_videos}.",
            f"{longer}, whatever relays it.",
        ],
        plots=[
            Plot(
                kind="shares",
                title="From acceptance to `succeeded`",
                x="seconds",
                y="share of images",
                series={
                    label: [each for run in runs for each in run] for label, runs in series.items()
                },
            )
        ],
    )
