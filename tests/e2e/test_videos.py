"""Every mode of every model that makes videos, by each name, through both faces."""

import base64
import io
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

import httpx
import pytest

from core.media.mp4 import read_video
from core.provider.catalogue import MODELS, Kind, Model
from stack.options import StackOptions
from stack.stack import Stack
from tests.conftest import Eventually
from tests.e2e.provider_records import judge_request, task_of
from tests.model_inputs import FORMS, full, minimal, parameters_of
from tests.quick_videos import SMALL, VIDEOS, often_polled
from tests.timing import FAST, FAST_SANDBOX

Case = tuple[str, str, str, str]

#: Links in the place of files, and a single keyframe in the place of a list.
_LINKS: Final[Mapping[Kind, str]] = {
    Kind.KEYFRAMES: "https://images.example/a.png",
    Kind.VIDEO: "https://videos.example/a.mp4",
    Kind.BUNDLE: "https://videos.example/a.bin",
}
_OTHER: Final[Mapping[str, Any]] = {
    "duration": "auto",
    "aspect_ratio": "auto",
    "resolution": "uhd",
    "generate_audio": False,
    "draft": False,
}


def other(model: Model, mode: str = "") -> dict[str, Any]:
    """Return a value for every parameter, all others than `full` has where that is possible."""
    kinds = {name: one.kind for name, one in parameters_of(model, mode).items()}
    links = {name: _LINKS[kind] for name, kind in kinds.items() if kind in _LINKS}
    return full(model, mode) | links | {name: _OTHER[name] for name in kinds if name in _OTHER}


EXTENTS: Final = {"minimal": minimal, "full": full, "other": other}
FACES: Final = ("native", "drop-in")
#: Every form of every model, and then every mode by its other names.
CASES: Final[list[Case]] = [
    *(
        (name, mode, extent, face)
        for name, mode in FORMS
        if name in VIDEOS
        for extent in EXTENTS
        for face in FACES
    ),
    *(
        (name, alias, "minimal", face)
        for name in VIDEOS
        for variant in MODELS[name].variants
        for alias in variant.names[1:]
        for face in FACES
    ),
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack whose videos are small and asked about often."""
    variables = {**FAST, **often_polled(tmp_path_factory.mktemp("models"))}
    sandbox = {**FAST_SANDBOX, **SMALL}
    with Stack(StackOptions(relay_variables=variables, sandbox_variables=sandbox)) as running:
        yield running


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    """Return a client of the service, with its key."""
    headers = {"x-key": stack.api_key}
    with httpx.Client(
        base_url=stack.service_url, headers=headers, timeout=60, trust_env=False
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
        if "draft_cache" in given and extent != "other":
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
    """What was asked is stored: whole videos, and a draft's bundle beside its video."""
    job_id, given = sent[case]

    job = ended(http, eventually, job_id)

    task = task_of(stack, job)
    judge_request(task, job, given)
    roles = ["sample", "draft_cache"] if given.get("draft") else ["sample"]
    assert [one["role"] for one in job["artifacts"]] == roles
    files = {one["role"]: stored(stack, one) for one in job["artifacts"]}
    made = {one["role"]: (one["bytes"], one["sha256"]) for one in task["artifacts"]}
    assert made == {role: (len(data), sha256(data).hexdigest()) for role, data in files.items()}
    judge_video(files["sample"], job["artifacts"][0], task, given)
    if case[-1] == "drop-in":
        judge_links(http, job_id, files)


def judge_video(
    data: bytes, sample: dict[str, Any], task: dict[str, Any], given: dict[str, Any]
) -> None:
    """Assert that a video is whole, what was asked, and recorded as what it is."""
    video = read_video(io.BytesIO(data), len(data))
    assert (sample["content_type"], sample["bytes"]) == ("video/mp4", len(data))
    assert (sample["width"], sample["height"]) == (video.width, video.height)
    assert (sample["seconds"], sample["tracks"]) == (video.seconds, list(video.tracks))
    assert sample["frames_per_second"] == video.frames_per_second == 24
    assert (video.width, video.height) == (task["width"], task["height"])
    assert video.seconds == pytest.approx(task["seconds"], abs=0.1)
    assert ("audio" in video.tracks) == task["audio"]
    if isinstance(given.get("duration"), int):
        assert video.seconds == pytest.approx(given["duration"], abs=0.1)
    if "generate_audio" in given:
        assert ("audio" in video.tracks) == given["generate_audio"]


def judge_links(http: httpx.Client, job_id: str, files: dict[str, bytes]) -> None:
    """Assert that the provider's face serves every file at its link, as a whole and in part."""
    task = http.get(f"/v1/get_result?id={job_id}").json()
    assert task["status"] == "Ready"
    assert {role for role in ("sample", "draft_cache") if role in task["result"]} == set(files)
    for role, data in files.items():
        link = task["result"][role]
        whole, part = http.get(link), http.get(link, headers={"range": "bytes=100-299"})
        assert (whole.status_code, whole.content) == (200, data)
        assert (part.status_code, part.content) == (206, data[100:300])


def test_a_draft_in_full_quality_is_as_long_as_the_draft(
    sent: dict[Case, tuple[str, dict[str, Any]]],
    http: httpx.Client,
    eventually: Eventually,
) -> None:
    """The bundle that was stored is the one that the provider renders from."""
    job_id, _ = sent["flux-3-video", "draft_enhance", "minimal", "native"]

    sample = ended(http, eventually, job_id)["artifacts"][0]

    assert (sample["seconds"], sample["tracks"]) == (5.0, ["video", "audio"])
