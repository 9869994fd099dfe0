"""What becomes of a job when the provider sheds load, or answers as it does for FLUX 3."""

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import Played, Scene, play

TWICE = {"times": 2}
SILENT: dict[str, dict[str, object]] = {"drop_webhook": {}}
UNLUCKY = {"status": "Error", "details": {"error": "Out of memory"}}
SCENES = {
    "shed": Scene({"shed_submit": {"times": 1}}),
    "shed-for-a-time": Scene({"shed_submit": {"retry_after": 1, "times": 1}}),
    "ready-as-503": Scene({"odd_poll_status": {"status": 503, **TWICE}, **SILENT}),
    "failed-as-503": Scene(
        {"end_task": UNLUCKY, "odd_poll_status": {"status": 503, **TWICE}, **SILENT}
    ),
}
DOWNLOADS = {
    "cut-early": Scene({"cut_download": {"bytes": 0, **TWICE}}),
    "cut": Scene({"cut_download": {"bytes": 1500, **TWICE}}),
    **{
        f"cut-{kind}": Scene({"cut_download": TWICE, "odd_range": {"kind": kind}})
        for kind in ("ignored", "refused", "shifted", "changed")
    },
    **{
        f"short-{kind}": Scene({"shorten_download": TWICE}, {"output_format": kind})
        for kind in ("jpeg", "png", "webp")
    },
}


@pytest.fixture(scope="module")
def played(bench: Customer) -> Played:
    """Play all scenes at the same time."""
    return play(bench, {**SCENES, **DOWNLOADS, "always-short": Scene({"shorten_download": {}})})


@pytest.mark.parametrize("scene", ["shed", "shed-for-a-time"])
def test_a_submit_that_is_shed(played: Played, scene: str) -> None:
    """`shed_submit` made nothing: the job is sent again and ends well, with one task."""
    job = played.job(scene)

    played.customer.judge([job])
    assert len(played.tasks(scene)) == 1


def test_a_result_with_the_status_of_an_error(played: Played) -> None:
    """`odd_poll_status` of a ready task: a good end, made once."""
    played.made_once("ready-as-503")


def test_a_failure_with_the_status_of_an_error(played: Played) -> None:
    """`odd_poll_status` of a failed task ends as `provider_error`, with the task's reason."""
    error = played.failed("failed-as-503", "provider_error")

    assert error["details"] == {"error": "Out of memory"}


@pytest.mark.parametrize("scene", DOWNLOADS)
def test_a_download_that_is_not_whole_at_first(played: Played, scene: str) -> None:
    """After `cut_download`, also with `odd_range`, and after `shorten_download`: made once.

    The bucket has the true bytes, whether the download went on or began again.
    """
    played.made_once(scene)


def test_a_download_that_is_short_for_good(played: Played) -> None:
    """`shorten_download` until the link is dead ends as `result_expired`; nothing is stored."""
    played.failed("always-short", "result_expired")
