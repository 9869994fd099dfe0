"""The worked examples are bodies that the service takes, and results that it shows."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import Status
from core.jobs.views import job_view
from core.media.contents import BUNDLE, VIDEO
from core.settings.settings import Settings
from service.intake.job_request import parse_job

_PAGE: Final = (Path(__file__).parents[2] / "docs" / "examples.md").read_text(encoding="utf-8")
_SECTIONS: Final = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", _PAGE, re.DOTALL | re.MULTILINE))


def _blocks(text: str) -> list[dict[str, Any]]:
    found = re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [json.loads(block) for block in found]


BODIES: Final = [body for body in _blocks(_PAGE) if "model" in body]
ARTIFACTS: Final = [one for shown in _blocks(_PAGE) for one in shown.get("artifacts", ())]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(body["model"]))
def test_an_example_is_taken(settings: Settings, body: dict[str, Any]) -> None:
    """A body of the page is accepted as it stands there."""
    assert parse_job(body, settings).model == body["model"]


@pytest.mark.parametrize("heading", _SECTIONS)
def test_each_example_has_a_body(heading: str) -> None:
    """Each heading is followed by a body."""
    assert any("model" in block for block in _blocks(_SECTIONS[heading]))


def test_each_mode_of_a_video_has_an_example() -> None:
    """The page has a body for every mode."""
    modes = {body["input"].get("mode") for body in BODIES if body["model"] == "flux-3-video"}
    assert modes == {"t2v", "i2v", "v2v", "draft_enhance"}


@pytest.mark.parametrize("artifact", ARTIFACTS, ids=lambda one: str(one["role"]))
def test_a_shown_artifact_has_the_fields_of_an_artifact(artifact: dict[str, Any]) -> None:
    """The artifacts on the page have the fields that a job shows, in their order."""
    content = BUNDLE if artifact["role"] == "draft_cache" else VIDEO
    fields = ("role", "bucket", "key", "bytes", "sha256", "content_type")
    recorded = dict.fromkeys((*fields, *content.facts, "provider_id"), "")
    request = JobRequest(
        tenant="demo", model="flux-3-video", input={}, created_at=0.0, deadline_at=1.0
    )
    job = Job(
        id=JobId("1"),
        status=Status.SUCCEEDED,
        request=request,
        timeline=((Status.SUCCEEDED, 1.0),),
        artifacts=(recorded,),
    )
    assert list(artifact) == list(job_view(job)["artifacts"][0])
    assert artifact["uri"] == f"s3://{artifact['bucket']}/{artifact['key']}"
