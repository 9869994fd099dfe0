"""The judge finds each way in which a batch can be broken."""

from collections import Counter
from dataclasses import replace
from typing import Any, Final

import pytest

from chaos.actors.batch_callers import BatchIntake
from chaos.judge.evidence import BatchEvidence, BucketObject, Evidence, ReceivedCallback
from chaos.judge.judge import judge
from chaos.plan.plan import PlannedBatch
from tests.chaos.sample_evidence import FAILED, GOOD, ID

BATCH = "01a1ff02-1be0-7c55-a3d1-6f0b52c8e914"
KEY = f"batches/{BATCH}.ndjson"
SHA = "d" * 64
LINES: Final[list[dict[str, Any]]] = [
    {"custom_id": "0", "job_id": ID, "status": "succeeded"},
    {"custom_id": "1", "job_id": FAILED, "status": "failed"},
]
INTAKE: Final = BatchIntake(
    [BATCH, BATCH],
    Counter({"202": 2, "503": 1, "ReadTimeout": 1}),
    {"results": {"key": KEY, "sha256": SHA, "bytes": 9}},
    [(FAILED, "1"), (ID, "0")],
)
TOLD: Final = ReceivedCallback("/callbacks/batch-0", True, f"msg_{BATCH}", BATCH, "completed")


def evidence(intake: BatchIntake = INTAKE) -> Evidence:
    """Return good evidence, whose two jobs were sent as one batch."""
    planned = PlannedBatch(0, 0.0, (0, 1), None, again=True)
    file = BucketObject(9, SHA, LINES)
    return replace(
        GOOD,
        bucket={**GOOD.bucket, KEY: file},
        batches=[BatchEvidence(planned, intake)],
        batch_callbacks=[TOLD, TOLD],
    )


def file(document: Any, sha256: str = SHA) -> Evidence:
    """Return the evidence with another results file; None: there is none."""
    good = evidence()
    stored = {KEY: BucketObject(9, sha256, document)} if document is not None else {}
    return replace(good, bucket={**GOOD.bucket, **stored})


def told(*callbacks: ReceivedCallback) -> Evidence:
    """Return the evidence with other callbacks about the batch."""
    return replace(evidence(), batch_callbacks=callbacks)


def test_a_good_batch_breaks_no_rule() -> None:
    """Nothing is found where each item became one job, and all was told."""
    assert judge(evidence()) == []


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("doubled", evidence(replace(INTAKE, ids=[BATCH, ID]))),
        ("misled", evidence(replace(INTAKE, answers=Counter({"202": 1, "500": 1})))),
        ("refused", evidence(replace(INTAKE, ids=[]))),
        ("stuck", evidence(replace(INTAKE, view=None))),
        ("half batch", evidence(replace(INTAKE, jobs=[(ID, "0")]))),
        ("half batch", evidence(replace(INTAKE, jobs=[(ID, "0"), (ID, "1")]))),
        ("half batch", evidence(replace(INTAKE, jobs=[*INTAKE.jobs, (BATCH, "1")]))),
        ("batch misreported", file(None)),
        ("batch misreported", file(LINES[:1])),
        ("batch misreported", file(LINES[::-1])),
        ("batch misreported", file([LINES[0], {**LINES[1], "status": "succeeded"}])),
        ("batch misreported", file(LINES, "e" * 64)),
        ("stray", evidence(replace(INTAKE, view={"results": None}))),
        ("untold", told()),
        ("told wrong", told(TOLD, replace(TOLD, status="running"))),
        ("told wrong", told(replace(TOLD, job_id=ID))),
    ],
)
def test_a_broken_batch_is_found(rule: str, broken: Evidence) -> None:
    """Each change of the good evidence breaks the rule that it should."""
    assert rule in {found.rule for found in judge(broken)}
