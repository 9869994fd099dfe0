"""The jobs of the demo, and what must come of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stack.commands.client import Clip


@dataclass(frozen=True)
class DemoJob:
    """A job of the demo, and what must come of it.

    Attributes:
        model: The model.
        input: Its parameters.
        size: Width and height of the result in pixels.
        clip: What a video must have besides; None for an image.
        relay_variables: Environment of the service and the workers.
    """

    model: str
    input: Mapping[str, object]
    size: tuple[int, int]
    clip: Clip | None = None
    relay_variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The model and what is asked of it."""
        seconds = f"{self.clip.seconds:g} seconds, " if self.clip else ""
        return f"{self.model}, {seconds}{self.size[0]} x {self.size[1]} pixels"

    @property
    def prompt(self) -> str:
        """The prompt."""
        return str(self.input["prompt"])


IMAGE: Final = DemoJob(
    model="flux-pro-1.1",
    input={
        "prompt": "A lighthouse on a basalt cliff at dusk, its beam over a calm violet sea",
        "width": 1024,
        "height": 768,
    },
    size=(1024, 768),
)
VIDEO: Final = DemoJob(
    model="flux-3-video",
    input={
        "mode": "t2v",
        "prompt": "The beam of a lighthouse sweeps over a calm violet sea at dusk",
        "duration": 5,
        "aspect_ratio": "16:9",
        "resolution": "hd",
    },
    # The sides are multiples of 32.
    size=(1280, 736),
    clip=Clip(seconds=5.0, frames_per_second=24.0, tracks=("video", "audio")),
    # A real video takes half a minute at least, so nobody asks earlier. The sandbox's takes a
    # second.
    relay_variables={
        "FLUXRELAY_MODELS_FILE": str(Path(__file__).with_name("demo_models.json")),
    },
)

#: By the word on the command line.
DEMO_JOBS: Final[Mapping[str, DemoJob]] = {"image": IMAGE, "video": VIDEO}
