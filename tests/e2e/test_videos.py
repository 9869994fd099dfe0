"""Every mode of every model that makes videos, with the least and the most it takes."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from core.media.mp4 import read_video
from core.provider.catalogue import MODELS, Media
from stack.options import StackOptions
from stack.stack import Stack
from tests.conftest import Eventually
from tests.model_inputs import FORMS, full, minimal
from tests.timing import FAST, FAST_SANDBOX

Case = tuple[str, str, str, str]

VIDEOS: Final = [name for name, model in MODELS.items() if model.media is Media.VIDEO]
EXTENTS: Final = {"minimal": minimal, "full": full}
FACES: Final = ("native", "drop-in")
CASES: Final[list[Case]] = [
    (name, mode, extent, face)
    for name, mode in FORMS
    if name in VIDEOS
    for extent in EXTENTS
    for face in FACES
]
#: Frames of a twentieth of each side are enough to be read.
SMALL: Final = {"SANDBOX_VIDEO_SCALE": "0.05"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack whose videos are small and asked about often."""
    path = tmp_path_factory.mktemp("models") / "models.json"
    often = {"first_poll_seconds": 0.2, "poll_seconds": 0.2}
    models = [{"name": name, "like": name, **often} for name in VIDEOS]
    path.write_text(json.dumps({"models": models}))
    variables = {**FAST, "FLUXRELAY_MODELS_FILE": str(path)}
    sandbox = {**FAST_SANDBOX, **SMALL}
    with Stack(StackOptions(relay_variables=variables, sandbox_variables=sandbox)) as running:
        yield running


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    """Return a client of the service, with its key."""
    headers = {"x-key": stack.api_key}
    with httpx.Client(
        base_url=stack.service_url, headers=headers, timeout=20, trust_env=False
    ) as client:
        yield client


def ended(http: httpx.Client, eventually: Eventually, job_id: str) -> dict[str, Any]:
    """Return a job that has ended well."""
    eventually(lambda: http.get(f"/v1/jobs/{job_id}").json()["ended_at"] is not None, 90)
    job: dict[str, Any] = http.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "succeeded", job["error"]
    return job


def stored(stack: Stack, artifact: dict[str, Any]) -> bytes:
    """Return the bytes of a stored file."""
    found = stack.s3().get_object(Bucket=artifact["bucket"], Key=artifact["key"])
    return found["Body"].read()


@pytest.fixture(scope="module")
def bundle(stack: Stack, http: httpx.Client, eventually: Eventually) -> str:
    """Have a draft made; return the bundle that it left, as base64."""
    given = {"mode": "t2v", "prompt": "a draft", "duration": 5, "draft": True}
    answer = http.post("/v1/jobs", json={"model": "flux-3-video", "input": given})
    job = ended(http, eventually, answer.json()["id"])
    assert [one["role"] for one in job["artifacts"]] == ["sample", "draft_cache"]
    return base64.b64encode(stored(stack, job["artifacts"][1])).decode()


@pytest.fixture(scope="module")
def sent(http: httpx.Client, bundle: str) -> dict[Case, tuple[str, dict[str, Any]]]:
    """Send a job for every mode, extent and face at once; return job ids and inputs."""
    jobs = {}
    for name, mode, extent, face in CASES:
        given = EXTENTS[extent](MODELS[name], mode)
        if "draft_cache" in given:
            given["draft_cache"] = bundle
        if face == "native":
            answer = http.post("/v1/jobs", json={"model": name, "input": given})
        else:
            answer = http.post(f"/v1/{name}", json=given)
        assert answer.is_success, answer.text
        jobs[name, mode, extent, face] = answer.json()["id"], given
    return jobs


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_from_post_to_s3(
    stack: Stack,
    http: httpx.Client,
    eventually: Eventually,
    sent: dict[Case, tuple[str, dict[str, Any]]],
    case: Case,
) -> None:
    """A whole video of the asked length is stored, and a draft's bundle beside it."""
    job_id, given = sent[case]

    job = ended(http, eventually, job_id)

    roles = [one["role"] for one in job["artifacts"]]
    assert roles == (["sample", "draft_cache"] if given.get("draft") else ["sample"])
    sample = job["artifacts"][0]
    data = stored(stack, sample)
    video = read_video(io.BytesIO(data), len(data))
    assert (sample["content_type"], sample["bytes"]) == ("video/mp4", len(data))
    assert (sample["seconds"], sample["width"]) == (video.seconds, video.width)
    assert video.frames_per_second == 24
    if "duration" in given:
        assert video.seconds == pytest.approx(given["duration"], abs=0.1)
    assert ("audio" in video.tracks) == given.get("generate_audio", "audio" in video.tracks)
