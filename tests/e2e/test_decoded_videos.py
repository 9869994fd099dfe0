"""A real decoder opens what was stored, and finds what was asked for."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from stack.options import StackOptions
from tests.conftest import Eventually
from tests.e2e.conftest import Customer
from tests.e2e.decoder import Decoded, decode
from tests.faults.harness import VIDEO, opened
from tests.quick_videos import often_polled
from tests.timing import FAST, FAST_SANDBOX

UPSCALER: Final = "flux-tools/video-upscale-v1"
_SHOT: Final[Mapping[str, Any]] = {"mode": "t2v", "prompt": "waves", "aspect_ratio": "16:9"}
FIRST: Final[Mapping[str, Mapping[str, Any]]] = {
    "silent": {**_SHOT, "duration": 5, "generate_audio": False},
    "tall": {**_SHOT, "duration": 6, "resolution": "fhd", "aspect_ratio": "9:16"},
    "draft": {**_SHOT, "duration": 7, "draft": True},
}
#: What must come out of each: sides are multiples of 32, and every second has 24 frames.
EXPECTED: Final = {
    "silent": Decoded((1280, 736), frames=120, seconds=5, sound_seconds=0),
    "tall": Decoded((1088, 1920), frames=144, seconds=6, sound_seconds=6),
    "draft": Decoded((1280, 736), frames=168, seconds=7, sound_seconds=7),
    "draft in full quality": Decoded((1920, 1088), frames=168, seconds=7, sound_seconds=7),
    "silent and upscaled": Decoded((1920, 1088), frames=120, seconds=5, sound_seconds=0),
}


@dataclass(frozen=True)
class Film:
    """A stored video: its file, and what its job says of it."""

    path: Path
    told: Mapping[str, Any]
    #: Bytes of all files of the result by role.
    files: Mapping[str, bytes]

    def inline(self, role: str) -> str:
        """Return a file as base64."""
        return base64.b64encode(self.files[role]).decode()


@pytest.fixture(scope="module")
def films(
    eventually: Eventually, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Film]]:
    """Have all videos made in their real size, two of them from others."""
    directory = tmp_path_factory.mktemp("films")
    variables = {**FAST, **often_polled(directory)}
    options = StackOptions(relay_variables=variables, sandbox_variables=FAST_SANDBOX)
    with opened(options, eventually) as customer:
        found = made(customer, directory, {name: (VIDEO, given) for name, given in FIRST.items()})
        bundle, clip = found["draft"].inline("draft_cache"), found["silent"].inline("sample")
        second: dict[str, tuple[str, dict[str, Any]]] = {
            "draft in full quality": (VIDEO, {"mode": "draft_enhance", "draft_cache": bundle}),
            "silent and upscaled": (UPSCALER, {"input_video": clip, "upscale_factor": 1.5}),
        }
        yield found | made(customer, directory, second)


def made(
    customer: Customer, directory: Path, orders: Mapping[str, tuple[str, Mapping[str, Any]]]
) -> dict[str, Film]:
    """Have videos made, and fetch them from the bucket."""
    bodies = [{"model": model, "input": dict(given)} for model, given in orders.values()]
    jobs = customer.wait_for_end(customer.send(len(bodies), bodies.__getitem__), 90)
    customer.judge(jobs)
    films = {}
    for name, job in zip(orders, jobs, strict=True):
        path = directory / f"{name}.mp4"
        files = {}
        for file in job["artifacts"]:
            found = customer.stack.s3().get_object(Bucket=file["bucket"], Key=file["key"])
            files[file["role"]] = found["Body"].read()
        path.write_bytes(files["sample"])
        films[name] = Film(path, job["artifacts"][0], files)
    return films


@pytest.mark.parametrize("name", EXPECTED)
def test_a_decoder_finds_what_was_asked(films: dict[str, Film], name: str) -> None:
    """Every frame and all sound can be decoded, and the job tells the same of the video."""
    film = films[name]

    found = decode(film.path)

    asked = EXPECTED[name]
    assert (found.size, found.frames) == (asked.size, asked.frames)
    assert found.seconds == pytest.approx(asked.seconds, abs=0.01)
    assert found.sound_seconds == pytest.approx(asked.sound_seconds, abs=0.1)
    assert (film.told["width"], film.told["height"]) == found.size
    assert film.told["seconds"] == pytest.approx(found.seconds, abs=0.1)
    assert film.told["frames_per_second"] == 24
    assert ("audio" in film.told["tracks"]) == bool(found.sound_seconds)


def test_a_decoder_refuses_what_is_no_video(tmp_path: Path) -> None:
    """The test above fails for a file that cannot be decoded."""
    path = tmp_path / "page.mp4"
    path.write_bytes(b"<!DOCTYPE html>")

    with pytest.raises(AssertionError):
        decode(path)
