"""What becomes of a job whose image comes in part, slowly, wrong or not at all."""

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import Played, Scene, play

TWICE = {"times": 2}
FORMATS = ("jpeg", "png", "webp")
SPOILT = {
    "truncated": Scene({"truncate_download": TWICE}),
    "truncated-at-the-end": Scene({"truncate_download": {"fraction": 0.99, **TWICE}}),
    "stalled": Scene({"stall_download": {"seconds": 2, **TWICE}}),
    # Silence counts as a broken connection after 10 s, and so does a download after 10 s.
    "stalled-for-long": Scene({"stall_download": {"seconds": 14, "times": 1}}),
    "slow": Scene({"trickle_download": {"seconds": 3}}),
    "too-slow": Scene({"trickle_download": {"seconds": 14, "times": 1}}),
    **{
        f"corrupt-{kind}-{flips}": Scene(
            {"corrupt_download": {"flips": flips, **TWICE}}, {"output_format": kind}
        )
        for kind in FORMATS
        for flips in (1, 64)
    },
    **{
        f"refused-{status}": Scene({"refuse_download": {"status": status, **TWICE}})
        for status in (403, 404, 429, 500, 503)
    },
    "page": Scene({"html_download": TWICE}),
}
#: Spoilt for as long as the link lives, which is 30 s here.
DEAD = {
    "always-truncated": Scene({"truncate_download": {}}),
    "always-corrupt": Scene({"corrupt_download": {}}),
    "always-403": Scene({"refuse_download": {"status": 403}}),
    "always-500": Scene({"refuse_download": {"status": 500}}),
    "always-a-page": Scene({"html_download": {}}),
}


@pytest.fixture(scope="module")
def played(bench: Customer) -> Played:
    """Play all scenes at the same time."""
    return play(bench, {**SPOILT, **DEAD})


@pytest.mark.parametrize("scene", SPOILT)
def test_a_spoilt_download(played: Played, scene: str) -> None:
    """A good end, made once, with the true bytes in the bucket: the download is done again.

    So after `truncate_download`, `stall_download`, `trickle_download`, `corrupt_download`,
    `refuse_download` and `html_download`.
    """
    task = played.made_once(scene)

    job = played.job(scene)
    assert job["image"]["content_type"] == f"image/{task['format']}"
    assert (job["image"]["width"], job["image"]["height"]) == (256, 256)


@pytest.mark.parametrize("scene", DEAD)
def test_a_download_that_is_never_whole(played: Played, scene: str) -> None:
    """One that is spoilt until the link dies ends as `result_expired`; nothing wrong is stored."""
    error = played.failed(scene, "result_expired")

    assert error["retryable"] is True
    (task,) = played.tasks(scene)
    assert task["downloads"] == 0
