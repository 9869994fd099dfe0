"""Made-up evidence of runs in which no rule was broken."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from chaos.actors.callers import Intake
from chaos.judge.evidence import BucketObject, Evidence, Leftovers, ReceivedCallback
from chaos.plan.plan import PlannedJob

ID, OTHER = "01a1feec-e663-77f8-ba48-1ab172ecb481", "01a1feec-e663-77f8-ba48-1ab172ecb482"
FAILED = "01a1feec-e663-77f8-ba48-1ab172ecb483"
KEY = f"2026-11-21/{ID}.jpg"
SHA, SHA_2, SHA_3 = "a" * 64, "b" * 64, "c" * 64
VIDEO_KEY = f"2026-11-21/{ID}.mp4"
BUNDLE_KEY = f"{VIDEO_KEY}.draft_cache.bin"
Change = Callable[[Evidence], Evidence]
_IMAGE: Final = {"key": KEY, "sha256": SHA, "bytes": 5}


def job(number: int, *faults: tuple[str, int]) -> PlannedJob:
    """Return a planned job with these faults."""
    return PlannedJob(number, 0.0, "flux-dev", 0, None, faults, None, again=False)


def view(**more: Any) -> dict[str, Any]:
    """Return what the service shows of a success."""
    shown: dict[str, Any] = {
        "status": "succeeded",
        "timeline": [{"status": "succeeded", "at": "2026-11-21T16:25:00.771Z"}],
        "image": _IMAGE,
        "artifacts": [{"role": "sample", **_IMAGE}],
        "error": None,
        "callback": {"state": "delivered"},
        "provider": {"id": "task-1", "resubmits": 0},
    }
    return shown | more


def failure(code: str) -> dict[str, Any]:
    """Return what the service shows of a failure."""
    return view(status="failed", image=None, artifacts=[], error={"code": code})


def task(
    number: int = 0, at: str = "00", *, sha256: str | None = SHA, bundle: str = "", **more: Any
) -> dict[str, Any]:
    """Return a task of the ledger, made `at` seconds past a minute; `bundle` is a digest."""
    digests = {"sample": sha256, "draft_cache": bundle}
    shown: dict[str, Any] = {
        "id": f"task-{at}",
        "status": "Ready",
        "created_at": f"2026-11-21T16:25:{at}+00:00",
        "finished_at": None,
        "expires_at": "2026-11-21T16:26:00+00:00",
        "sha256": sha256,
        "artifacts": [
            {"role": role, "sha256": digest, "bytes": 5}
            for role, digest in digests.items()
            if digest
        ],
        "request": {"prompt": f"[{number:05d}]"},
        "deliveries": [{"status": 200}, {"status": 401, "forged": True}],
        "polls": {},
        "downloads": 1,
    }
    return shown | more


GOOD: Final = Evidence(
    jobs=[job(0), job(1, ("content-moderated", 0))],
    intakes=[
        Intake([ID, ID], Counter({"202": 2, "503": 1})),
        Intake([FAILED], Counter({"202": 1})),
    ],
    views={ID: view(), FAILED: failure("content_moderated")},
    tasks=[task(), task(1, status="Content Moderated", sha256=None)],
    rejections={"429": 0},
    bucket={
        KEY: BucketObject(5, SHA),
        f"{KEY}.json": BucketObject(9, SHA_2, {"artifacts": [{"role": "sample", **_IMAGE}]}),
    },
    callbacks=[
        ReceivedCallback("/callbacks/0", True, f"msg_{ID}", ID, "succeeded"),
        ReceivedCallback("/callbacks/0", True, f"msg_{ID}", ID, "succeeded"),
        ReceivedCallback("/callbacks/1", True, f"msg_{FAILED}", FAILED, "failed"),
    ],
    leftovers=Leftovers(intermediate=(f"{ID}-submit-1",), guards=frozenset({OTHER})),
)  # fmt: skip


def files() -> list[dict[str, Any]]:
    """Return what the service shows of a draft's files."""
    return [
        {"role": "sample", "key": VIDEO_KEY, "sha256": SHA, "bytes": 5},
        {"role": "draft_cache", "key": BUNDLE_KEY, "sha256": SHA_2, "bytes": 5},
    ]


#: The same with a draft as the first job.
DRAFT: Final = replace(
    GOOD,
    jobs=[replace(GOOD.jobs[0], kind="draft"), GOOD.jobs[1]],
    views={**GOOD.views, ID: view(image=None, artifacts=files())},
    tasks=[task(bundle=SHA_2), GOOD.tasks[1]],
    bucket={
        VIDEO_KEY: BucketObject(5, SHA),
        BUNDLE_KEY: BucketObject(5, SHA_2),
        f"{VIDEO_KEY}.json": BucketObject(9, SHA_3, {"artifacts": files()}),
    },
)


def canceled(as_: str = "canceled", status: str = "canceled", **answers: int) -> Change:
    """Return a change of the first caller's cancel: what it was told, and how the job ended."""

    def change(good: Evidence) -> Evidence:
        counted = Counter({name.strip("_"): count for name, count in answers.items()})
        told = replace(good.intakes[0], cancels=counted, canceled_as=as_)
        provider = {"id": "task-1", "resubmits": 0, "discarded": True}
        gone = view(status=status, image=None, artifacts=[], provider=provider)
        return replace(
            good,
            jobs=[replace(good.jobs[0], cancel_after=0.5), good.jobs[1]],
            intakes=[told, good.intakes[1]],
            views={**good.views, ID: gone if status == "canceled" else view()},
            bucket={} if status == "canceled" else good.bucket,
            callbacks=[ReceivedCallback("/callbacks/0", True, "m", ID, status), good.callbacks[2]],
        )

    return change
