"""Jobs as clients of the provider's own API see them: links to every file of a result."""

import dataclasses
from typing import Any

import pytest

from core.jobs.drop_in_views import file_name, task_view
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import Status
from core.security.signatures import is_sample_signature

MASTER = "a-master-secret-of-32-characters"
JOB = Job(
    id=JobId("1"),
    status=Status.SUCCEEDED,
    request=JobRequest(
        tenant="t", model="m", input={"prompt": "p"}, created_at=1.0, deadline_at=2.0
    ),
    timeline=((Status.SUBMITTING, 1.0), (Status.SUCCEEDED, 3.0)),
)


def _stored(role: str, content_type: str) -> dict[str, Any]:
    return {"role": role, "content_type": content_type}


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [("image/jpeg", "jpeg"), ("image/webp", "webp"), ("video/mp4", "mp4")],
)
def test_a_sample_s_name_tells_its_format(content_type: str, extension: str) -> None:
    """Clients infer the format from the link's extension."""
    assert file_name(JOB, _stored("sample", content_type)) == f"1.{extension}"


def test_each_file_of_a_result_has_its_own_link() -> None:
    """A draft's bundle stands where the provider names it, on our origin."""
    bundle = _stored("draft_cache", "application/octet-stream")
    job = dataclasses.replace(JOB, artifacts=(_stored("sample", "video/mp4"), bundle))

    result = task_view(job, "https://relay.example", MASTER)["result"]

    assert list(result)[:2] == ["sample", "draft_cache"]
    sample, cache = result["sample"], result["draft_cache"]
    assert sample.startswith("https://relay.example/v1/samples/1.mp4?sig=")
    assert cache.startswith("https://relay.example/v1/samples/1.draft_cache.bin?sig=")


def test_the_link_to_a_video_opens_no_bundle() -> None:
    """Whoever was given the one cannot make the other from it."""
    bundle = _stored("draft_cache", "application/octet-stream")
    job = dataclasses.replace(JOB, artifacts=(_stored("sample", "video/mp4"), bundle))

    result = task_view(job, "https://relay.example", MASTER)["result"]

    signatures = [
        link.rpartition("sig=")[2].encode() for link in result.values() if "sig=" in str(link)
    ]
    assert len(set(signatures)) == 2
    assert is_sample_signature([MASTER], "1", signatures[0])
    assert is_sample_signature([MASTER], "1.draft_cache", signatures[1])
    assert not is_sample_signature([MASTER], "1.draft_cache", signatures[0])
