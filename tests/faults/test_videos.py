"""What becomes of a job for a video, whose task has no webhook, when something goes wrong."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import VIDEO, Played, Scene, play

ONCE: Final = {"times": 1}
TWICE: Final = {"times": 2}
UNLUCKY: Final = {"status": "Error", "details": {"error": "Out of memory"}}
NO_CREDITS: Final = {"detail": "Insufficient credits"}
TOO_MANY: Final = {"detail": "Too many active tasks"}
#: More than is put into the bucket at once.
LARGE: Final = 70_000_000

NOT_TAKEN: Final = {
    "shed": Scene({"shed_submit": TWICE}),
    "shed-for-a-time": Scene({"shed_submit": {"retry_after": 1, **ONCE}}),
    "no-credits": Scene({"refuse_submit": {"status": 402, "body": NO_CREDITS, **TWICE}}),
    "too-many": Scene({"refuse_submit": {"status": 429, "body": TOO_MANY, **TWICE}}),
}
IN_DOUBT: Final = {
    **{f"made-{s}": Scene({"fail_answer": {"status": s, **ONCE}}) for s in (500, 503)},
    "cut-answer": Scene({"cut_answer": ONCE}),
}
ASKED: Final = {
    "not-found-yet": Scene({"hide_task": {"times": 4}}),
    "ready-as-503": Scene({"odd_poll_status": {"status": 503, **TWICE}}),
    "dead-at-first": Scene({"odd_poll_result": {"kind": "dead", **TWICE}}),
    "foreign-at-first": Scene({"odd_poll_result": {"kind": "foreign", **TWICE}}),
    "always-fresh": Scene({"odd_poll_result": {"kind": "fresh"}}),
}
SPOILT: Final = {
    "truncated": Scene({"truncate_download": TWICE}),
    "truncated-at-the-end": Scene({"truncate_download": {"fraction": 0.99, **TWICE}}),
    "stalled": Scene({"stall_download": {"seconds": 2, **TWICE}}),
    "slow": Scene({"trickle_download": {"seconds": 3}}),
    "cut": Scene({"cut_download": {"bytes": 1500, **TWICE}}),
    **{
        f"cut-{kind}": Scene({"cut_download": TWICE, "odd_range": {"kind": kind}})
        for kind in ("ignored", "refused", "shifted", "changed")
    },
    "short": Scene({"shorten_download": TWICE}),
    "short-of-little": Scene({"shorten_download": {"fraction": 0.99, **TWICE}}),
    "corrupt": Scene({"corrupt_download": TWICE}),
    "page": Scene({"html_download": TWICE}),
    **{
        f"refused-{status}": Scene({"refuse_download": {"status": status, **TWICE}})
        for status in (403, 404, 503)
    },
}
ODD: Final = {
    "redirected": Scene({"redirect_download": {}}),
    "gzipped": Scene({"encode_download": {}}),
    "padded": Scene({"pad_picture": {"bytes": 3_000_000}}),
    "padded-and-cut": Scene(
        {"pad_picture": {"bytes": 3_000_000}, "cut_download": {"bytes": 1_000_000, **TWICE}}
    ),
    "in-parts": Scene({"pad_picture": {"bytes": LARGE}}),
}
FAILED: Final = {
    "unlucky": Scene({"end_task": UNLUCKY}),
    "unlucky-as-503": Scene({"end_task": UNLUCKY, "odd_poll_status": {"status": 503}}),
    "moderated": Scene({"end_task": {"status": "Content Moderated"}}),
    "hidden-for-good": Scene({"hide_task": {}}),
}
#: Spoilt for as long as the link lives, which is 29 s here.
DEAD: Final = {
    "always-truncated": Scene({"truncate_download": {}}),
    "always-short": Scene({"shorten_download": {}}),
    "always-corrupt": Scene({"corrupt_download": {}}),
    "always-a-page": Scene({"html_download": {}}),
    "always-403": Scene({"refuse_download": {"status": 403}}),
}
ALL: Final[Mapping[str, Scene]] = {
    **NOT_TAKEN, **IN_DOUBT, **ASKED, **SPOILT, **ODD, **FAILED, **DEAD,
}  # fmt: skip


@pytest.fixture(scope="module")
def played(studio: Customer) -> Played:
    """Play all scenes at the same time, each on a video."""
    return play(studio, {name: replace(scene, model=VIDEO) for name, scene in ALL.items()})


@pytest.mark.parametrize("scene", NOT_TAKEN)
def test_a_submit_that_was_not_taken(played: Played, scene: str) -> None:
    """`shed_submit`, or `refuse_submit` with 402 or 429: the job waits and ends well, made once."""
    played.made_once(scene)


@pytest.mark.parametrize("scene", IN_DOUBT)
def test_a_submit_in_doubt(played: Played, scene: str) -> None:
    """`fail_answer` or `cut_answer`, without a webhook to wait for: a good end, counted as two."""
    job = played.made_again(scene, tasks=2)

    assert job["artifacts"][0]["content_type"] == "video/mp4"


@pytest.mark.parametrize("scene", ASKED)
def test_an_odd_answer_about_a_video(played: Played, scene: str) -> None:
    """After `hide_task` for some polls, `odd_poll_status` or `odd_poll_result`: made once."""
    played.made_once(scene)


@pytest.mark.parametrize("scene", SPOILT)
def test_a_spoilt_video(played: Played, scene: str) -> None:
    """Made once, with the true bytes in the bucket: the download goes on, or is done again.

    So after `truncate_download`, `stall_download`, `trickle_download`, `cut_download`, also with
    `odd_range`, `shorten_download`, `corrupt_download`, `html_download` and `refuse_download`.
    """
    task = played.made_once(scene)

    (sample,) = played.job(scene)["artifacts"]
    assert (sample["role"], sample["content_type"]) == ("sample", "video/mp4")
    assert (sample["seconds"], sample["frames_per_second"]) == (5.0, 24.0)
    assert (sample["width"], sample["height"]) == (task["width"], task["height"])
    assert sample["tracks"] == ["video", "audio"]


@pytest.mark.parametrize("scene", ODD)
def test_a_video_that_comes_oddly(played: Played, scene: str) -> None:
    """After `redirect_download` or `encode_download`, or large by `pad_picture`: made once."""
    task = played.made_once(scene)

    (sample,) = played.job(scene)["artifacts"]
    assert (sample["bytes"], sample["seconds"]) == (task["bytes"], 5.0)
    assert (sample["bytes"] > LARGE) == (scene == "in-parts")


@pytest.mark.parametrize("scene", ["unlucky", "unlucky-as-503"])
def test_a_video_that_could_not_be_made(played: Played, scene: str) -> None:
    """`end_task`, also with `odd_poll_status`, ends as `provider_error` with the task's reason."""
    error = played.failed(scene, "provider_error")

    assert error["details"] == {"error": "Out of memory"}


def test_a_video_that_was_withheld(played: Played) -> None:
    """`end_task` by moderation ends as `content_moderated`."""
    played.failed("moderated", "content_moderated")


def test_a_video_that_nobody_knows(played: Played) -> None:
    """`hide_task` for good is `lost` long before a video's link would be dead, and not repeated."""
    played.failed("hidden-for-good", "lost")

    assert len(played.tasks("hidden-for-good")) == 1


@pytest.mark.parametrize("scene", DEAD)
def test_a_video_that_is_never_whole(played: Played, scene: str) -> None:
    """One that is spoilt until its link is dead ends as `result_expired`; nothing is stored."""
    error = played.failed(scene, "result_expired")

    assert error["retryable"] is True
