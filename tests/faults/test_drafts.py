"""What becomes of a draft, whose result has two files, when something is wrong with one of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import VIDEO, Played, Scene, play

ROLES: Final = ("sample", "draft_cache")
TWICE: Final = {"times": 2}
#: Faults of one file's download.
OF_A_FILE: Final[Mapping[str, Mapping[str, Mapping[str, object]]]] = {
    "truncated": {"truncate_download": TWICE},
    "cut": {"cut_download": TWICE},
    "cut-and-changed": {"cut_download": TWICE, "odd_range": {"kind": "changed"}},
    "stalled": {"stall_download": {"seconds": 2, **TWICE}},
    "corrupt": {"corrupt_download": TWICE},
    "page": {"html_download": TWICE},
    **{f"{status}": {"refuse_download": {"status": status, **TWICE}} for status in (403, 404, 503)},
}
SPOILT: Final = {
    f"{name}-{role}": Scene({fault: {"role": role, **more} for fault, more in faults.items()})
    for role in ROLES
    for name, faults in OF_A_FILE.items()
}
TOLD: Final = {
    "bundle-in-a-list": Scene({"odd_poll_result": {"kind": "bundle_list"}}),
    "bundle-dead-at-first": Scene({"odd_poll_result": {"kind": "dead_bundle", **TWICE}}),
    "bundle-named-late": Scene({"odd_poll_result": {"kind": "no_bundle", **TWICE}}),
    "always-fresh": Scene({"odd_poll_result": {"kind": "fresh"}}),
}
#: For as long as the links live, which is 29 s here: the code of the error, and what is in the
#: bucket all the same.
FAILED: Final[Mapping[str, tuple[Scene, str, tuple[str, ...]]]] = {
    "bundle-never-named": (
        Scene({"odd_poll_result": {"kind": "no_bundle"}}),
        "provider_error",
        (".mp4",),
    ),
    "bundle-dead": (
        Scene({"odd_poll_result": {"kind": "dead_bundle"}}),
        "result_expired",
        (".mp4",),
    ),
    "bundle-refused": (
        Scene({"refuse_download": {"status": 403, "role": "draft_cache"}}),
        "result_expired",
        (".mp4",),
    ),
    "bundle-a-page": (
        Scene({"html_download": {"role": "draft_cache"}}),
        "result_expired",
        (".mp4",),
    ),
    "sample-refused": (
        Scene({"refuse_download": {"status": 403, "role": "sample"}}),
        "result_expired",
        (),
    ),
}


@pytest.fixture(scope="module")
def played(studio: Customer) -> Played:
    """Play all scenes at the same time, each on a draft."""
    scenes = {**SPOILT, **TOLD, **{name: scene for name, (scene, _, _) in FAILED.items()}}
    draft: dict[str, Any] = {"model": VIDEO, "input": {"draft": True}}
    return play(studio, {name: replace(scene, **draft) for name, scene in scenes.items()})


def whole(played: Played, scene: str) -> dict[str, Any]:
    """Assert that both files of a draft are stored, as they were made; return its task."""
    task = played.made_once(scene)
    files = played.job(scene)["artifacts"]
    assert [file["role"] for file in files] == list(ROLES)
    assert [file["content_type"] for file in files] == ["video/mp4", "application/octet-stream"]
    assert [file["bytes"] for file in files] == [file["bytes"] for file in task["artifacts"]]
    return task


@pytest.mark.parametrize("scene", SPOILT)
def test_a_draft_with_a_spoilt_file(played: Played, scene: str) -> None:
    """Whichever file it is: a good end, made once, with the true bytes of both in the bucket.

    So after `truncate_download`, `cut_download`, also with `odd_range`, `stall_download`,
    `corrupt_download`, `html_download` and `refuse_download`. The other one is fetched once.
    """
    task = whole(played, scene)

    (other,) = (file for file in task["artifacts"] if not scene.endswith(file["role"]))
    assert other["downloads"] == 1


@pytest.mark.parametrize("scene", TOLD)
def test_a_draft_whose_files_are_named_oddly(played: Played, scene: str) -> None:
    """`odd_poll_result` about the bundle, or without it at first: both files are stored."""
    whole(played, scene)


@pytest.mark.parametrize("scene", FAILED)
def test_a_draft_without_one_of_its_files(played: Played, scene: str) -> None:
    """`odd_poll_result`, `refuse_download` or `html_download` of a file until its link is dead.

    The job has failed, whatever else is stored: as `result_expired`, or as `provider_error` if the
    file was never named.
    """
    _, code, left = FAILED[scene]

    error = played.failed(scene, code, left)

    assert ("has no link to the bundle" in error["message"]) == (scene == "bundle-never-named")
