"""The judge compares every file of a result with the provider's ledger and with the bucket."""

from dataclasses import replace
from typing import Any, Final

import pytest

from chaos.judge.cases import EvidenceByJob
from chaos.judge.evidence import BucketObject, Evidence
from chaos.judge.judge import judge
from chaos.judge.verdict import Verdict
from tests.chaos.sample_evidence import (
    BUNDLE_KEY,
    DRAFT,
    ID,
    SHA,
    SHA_2,
    SHA_3,
    VIDEO_KEY,
    failure,
    files,
    task,
    view,
)

MANIFEST: Final = f"{VIDEO_KEY}.json"


def shown(artifacts: list[dict[str, Any]], *, image: object = None) -> Evidence:
    """Return a run with a draft of which the service shows these files."""
    return replace(DRAFT, views={**DRAFT.views, ID: view(image=image, artifacts=artifacts)})


def stored(key: str, thing: BucketObject | None) -> Evidence:
    """Return a run with a draft and another object at a key; None: there is none."""
    bucket = {name: kept for name, kept in DRAFT.bucket.items() if name != key}
    return replace(DRAFT, bucket={**bucket, key: thing} if thing else bucket)


def made(*tasks: dict[str, Any]) -> Evidence:
    """Return a run with a draft for which the provider made these tasks."""
    return replace(DRAFT, tasks=[*tasks, DRAFT.tasks[1]])


_OWNED_UP: Final = {"provider": {"id": "task-30", "resubmits": 1}}
#: Video and bundle come from different tasks, of which the job owns up to both.
_MIXED: Final = replace(
    made(task(bundle=SHA_3), task(at="30", sha256=SHA_3, bundle=SHA_2)),
    views={**DRAFT.views, ID: view(image=None, artifacts=files(), **_OWNED_UP)},
)
_WITHOUT: Final = {"artifacts": files()[:1]}

BROKEN: Final[dict[str, tuple[str, Evidence]]] = {
    "bundle not shown": ("bundle lost", shown(files()[:1])),
    "nothing shown": ("bundle lost", shown([])),
    "bundle not stored": ("bundle lost", stored(BUNDLE_KEY, None)),
    "other bundle stored": ("bundle lost", stored(BUNDLE_KEY, BucketObject(5, SHA_3))),
    "bundle stored in part": ("bundle lost", stored(BUNDLE_KEY, BucketObject(4, SHA_2))),
    "other bundle made": ("bundle lost", made(task(bundle=SHA_3))),
    "no bundle made": ("bundle lost", made(task())),
    "bundle of another task": ("bundle lost", _MIXED),
    "video not stored": ("lost", stored(VIDEO_KEY, None)),
    "bundle shown as the video": ("lost", shown(files()[1:])),
    "other video stored": ("wrong bytes", stored(VIDEO_KEY, BucketObject(5, SHA_3))),
    "other video made": ("wrong bytes", made(task(sha256=SHA_3, bundle=SHA_2))),
    "file that nobody made": (
        "wrong bytes",
        replace(
            shown([*files(), {"role": "preview", "key": "a", "sha256": SHA_3, "bytes": 5}]),
            bucket={**DRAFT.bucket, "a": BucketObject(5, SHA_3)},
        ),
    ),
    "video shown as an image": ("wrong bytes", shown(files(), image={"key": VIDEO_KEY})),
    "bundle not in the manifest": (
        "wrong bytes",
        stored(MANIFEST, BucketObject(9, SHA, _WITHOUT)),
    ),
    "bundle of a failed draft stored": (
        "stray",
        replace(DRAFT, views={**DRAFT.views, ID: failure("timed_out")}),
    ),
}


def test_a_draft_with_its_bundle_breaks_no_rule() -> None:
    """Video, bundle and manifest belong to the job, and are counted."""
    assert judge(DRAFT) == []

    counts = Verdict(EvidenceByJob(DRAFT), [], 0.0, 1.0, in_time=True).counts
    assert counts["videos stored"] == 1
    assert counts["  with a draft's bundle"] == 1
    assert counts["  in several parts"] == 0


@pytest.mark.parametrize(("rule", "evidence"), BROKEN.values(), ids=list(BROKEN))
def test_a_file_that_is_not_as_it_was_made_is_found(rule: str, evidence: Evidence) -> None:
    """What breaks a rule is found, and named."""
    assert rule in {found.rule for found in judge(evidence)}


def test_a_video_that_is_no_draft_needs_no_bundle() -> None:
    """Its result is the video alone."""
    video = replace(
        shown(files()[:1]),
        jobs=[replace(DRAFT.jobs[0], kind="text to video"), DRAFT.jobs[1]],
        tasks=[task(), DRAFT.tasks[1]],
        bucket={
            VIDEO_KEY: BucketObject(5, SHA),
            MANIFEST: BucketObject(9, SHA_3, _WITHOUT),
        },
    )

    assert judge(video) == []


def test_a_task_without_a_prompt_is_found_by_its_bundle() -> None:
    """The URL of the bundle that is enhanced names the job."""
    request = {"draft_cache": "https://drafts.example/%5B00000%5D.bin"}

    assert judge(made(task(bundle=SHA_2, request=request))) == []
