"""The worked examples are bodies that the service takes."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from core.settings.settings import Settings
from service.intake.job_request import parse_job

_PAGE: Final = (Path(__file__).parents[2] / "docs" / "examples.md").read_text(encoding="utf-8")
_BLOCKS: Final = re.findall(r"^```json\n(.*?)^```$", _PAGE, re.DOTALL | re.MULTILINE)
BODIES: Final = [body for body in map(json.loads, _BLOCKS) if "model" in body]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(body["model"]))
def test_an_example_is_taken(settings: Settings, body: dict[str, Any]) -> None:
    """A body of the page is accepted as it stands there."""
    assert parse_job(body, settings).model == body["model"]


def test_the_page_has_examples() -> None:
    """Each heading is followed by a body."""
    assert len(BODIES) >= len(re.findall(r"^## ", _PAGE, re.MULTILINE)) > 0
