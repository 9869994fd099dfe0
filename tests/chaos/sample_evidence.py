"""Made-up evidence of a run in which no rule was broken."""

from collections import Counter
from typing import Any, Final

from chaos.actors.callers import Intake
from chaos.judge.evidence import BucketObject, Evidence, Leftovers, ReceivedCallback
from chaos.plan.plan import PlannedJob

ID, OTHER = "01a1feec-e663-77f8-ba48-1ab172ecb481", "01a1feec-e663-77f8-ba48-1ab172ecb482"
FAILED = "01a1feec-e663-77f8-ba48-1ab172ecb483"
KEY = f"2026-11-21/{ID}.jpg"
SHA, SHA_2 = "a" * 64, "b" * 64


def job(number: int, *faults: tuple[str, int]) -> PlannedJob:
    """Return a planned job with these faults."""
    return PlannedJob(number, 0.0, "flux-dev", 0, None, faults, None, again=False)


def view(**more: Any) -> dict[str, Any]:
    """Return what the service shows of a success."""
    shown: dict[str, Any] = {
        "status": "succeeded",
        "timeline": [{"status": "succeeded", "at": "2026-11-21T16:25:00.771Z"}],
        "image": {"key": KEY, "sha256": SHA, "bytes": 5},
        "error": None,
        "callback": {"state": "delivered"},
        "provider": {"id": "task-1", "resubmits": 0},
    }
    return shown | more


def failure(code: str) -> dict[str, Any]:
    """Return what the service shows of a failure."""
    return view(status="failed", image=None, error={"code": code})


def task(number: int = 0, at: str = "00", **more: Any) -> dict[str, Any]:
    """Return a task of the ledger, made `at` seconds past a minute."""
    shown: dict[str, Any] = {
        "id": f"task-{at}",
        "status": "Ready",
        "created_at": f"2026-11-21T16:25:{at}+00:00",
        "finished_at": None,
        "expires_at": "2026-11-21T16:26:00+00:00",
        "sha256": SHA,
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
        f"{KEY}.json": BucketObject(9, SHA_2, {"image": {"sha256": SHA}}),
    },
    callbacks=[
        ReceivedCallback("/callbacks/0", True, f"msg_{ID}", ID, "succeeded"),
        ReceivedCallback("/callbacks/0", True, f"msg_{ID}", ID, "succeeded"),
        ReceivedCallback("/callbacks/1", True, f"msg_{FAILED}", FAILED, "failed"),
    ],
    leftovers=Leftovers(intermediate=(f"{ID}-submit-1",), guards=frozenset({OTHER})),
)  # fmt: skip
