"""Checks batches: each item one job, one results file that tells the truth, one callback."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from chaos.judge.evidence import BatchEvidence, Evidence

_Broken = tuple[str, str]


def results_keys(evidence: Evidence) -> set[str]:
    """Return the keys of the results files that batches claim."""
    views = (batch.intake.view for batch in evidence.batches)
    return {view["results"]["key"] for view in views if view and view["results"]}


def check_batches(evidence: Evidence) -> Iterator[_Broken]:
    """Yield every rule that a batch broke, and what happened."""
    for batch in evidence.batches:
        name = f"batch {batch.planned.number}"
        for rule, text in _check(batch, evidence):
            yield rule, f"{name}: {text}"


def _check(batch: BatchEvidence, evidence: Evidence) -> Iterator[_Broken]:
    ids = set(batch.intake.ids)
    if len(ids) > 1:
        yield "doubled", f"{len(ids)} ids"
    wrong = {name for name in batch.intake.answers if name.isdigit()} - {"202", "503"}
    if wrong:
        yield "misled", f"answers {wrong}"
    if not ids:
        yield "refused", f"answers {dict(batch.intake.answers)}"
        return
    if batch.intake.view is None:
        yield "stuck", "it has not completed"
        return
    wanted = Counter(str(number) for number in batch.planned.jobs)
    found = Counter(custom_id for _, custom_id in batch.intake.jobs)
    jobs = {job_id for job_id, _ in batch.intake.jobs}
    if found != wanted or len(jobs) != len(batch.planned.jobs):
        yield "half batch", f"its items {dict(wanted)} became {dict(found)}"
    yield from _check_file(batch, batch.intake.view, evidence)
    told = [one for one in evidence.batch_callbacks if one.path == batch.path]
    if not told:
        yield "untold", "its caller got no callback"
    if any(one.job_id not in ids or one.status != "completed" for one in told):
        yield "told wrong", f"its caller got {told}"


def _check_file(
    batch: BatchEvidence, view: Mapping[str, Any], evidence: Evidence
) -> Iterator[_Broken]:
    results = view["results"] or {}
    stored = evidence.bucket.get(str(results.get("key")))
    if stored is None or not isinstance(stored.document, list):
        yield "batch misreported", f"its results file is missing: {results}"
        return
    if (stored.sha256, stored.size) != (results["sha256"], results["bytes"]):
        yield "batch misreported", f"its results file is not the one it names: {results}"
    listed = dict(batch.intake.jobs)
    lines = [(line["custom_id"], line["job_id"], line["status"]) for line in stored.document]
    views = evidence.views
    right = [
        (str(number), job_id, str((views.get(job_id) or {}).get("status")))
        for number in batch.planned.jobs
        for job_id in sorted(job for job, custom_id in listed.items() if custom_id == str(number))
    ]
    if lines != right:
        yield "batch misreported", f"its results file says {lines}, and its jobs {right}"
