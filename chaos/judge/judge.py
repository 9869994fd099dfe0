"""The judge: checks the product's claims against independent records. No I/O in here."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.judge.batches import check_batches, results_keys
from chaos.judge.cases import CANCELED, NOBODY, Case, EvidenceByJob, moment
from chaos.judge.evidence import Evidence
from chaos.judge.results import check_result, keys_of
from chaos.plan.time_scale import DOUBT, SUBMIT_TIMEOUT

#: Failures that are not the caller's fault.
_DEAD_LETTERS: Final = frozenset(
    {
        *("provider_error", "provider_rejected", "result_expired"),
        *("storage_failed", "timed_out", "lost"),
    }
)
#: Statuses that a caller may get during outages; any other is not a proper "try again".
_HONEST: Final = frozenset({"202", "503"})
#: The same for a request to cancel; 409: the result is being stored.
_HONEST_CANCELS: Final = frozenset({"200", "409", "503"})


@dataclass(frozen=True)
class Finding:
    """A broken rule: the job's number (None: no job), and what happened."""

    rule: str
    number: int | None
    text: str


def judge(evidence: Evidence) -> list[Finding]:
    """Return every broken rule."""
    trial = EvidenceByJob(evidence)
    findings = [
        Finding(rule, case.job.number, text)
        for case in trial.cases
        for rule, text in _case(case, evidence)
    ]
    return [*findings, *_whole(trial)]


def _case(case: Case, evidence: Evidence) -> Iterator[tuple[str, str]]:
    yield from _intake(case)
    if case.job_id is None:
        if case.tasks:
            yield "unclaimed", f"{len(case.tasks)} tasks"
        return
    yield from _payments(case)
    if case.view is None:
        yield "lost", f"{case.job_id} is unknown to the service"
    elif not case.ended:
        yield "stuck", f"it is {case.status}"
    else:
        if not case.as_planned:
            yield "unexpected", f"{case.end} instead of {case.job.ends}: {case.view['error']}"
        yield from check_result(case, evidence.bucket)
    yield from _cancels(case)
    yield from _callbacks(case)


def _cancels(case: Case) -> Iterator[tuple[str, str]]:
    odd = set(filter(str.isdigit, case.intake.cancels)) - _HONEST_CANCELS
    if odd:
        yield "misled", f"{', '.join(sorted(odd))} to its cancel"
    said = case.intake.canceled_as
    if said is not None and case.view is not None and said != case.status:
        yield "uncanceled", f"its cancel was answered with {said}, it is {case.status}"


def _intake(case: Case) -> Iterator[tuple[str, str]]:
    odd = {answer for answer in case.intake.answers if answer.isdigit()} - _HONEST
    if odd:
        yield "misled", ", ".join(sorted(odd))
    if case.job_id is None:
        yield "refused", str(dict(case.intake.answers))
    elif len(set(case.intake.ids)) > 1:
        yield "doubled", ", ".join(sorted(set(case.intake.ids)))


def _payments(case: Case) -> Iterator[tuple[str, str]]:
    allowed = 1 + case.resubmits + case.regenerations
    if len(case.tasks) > allowed:
        yield "paid twice", f"{len(case.tasks)} tasks, {allowed} at most"
    if case.regenerations or not case.job.webhook:
        return  # regenerated on request, or a doubt that nothing could resolve: at once
    # The earlier request may have been in flight for its whole timeout.
    least = DOUBT - SUBMIT_TIMEOUT - case.job.lead
    times = [moment(task["created_at"]) for task in case.tasks]
    for earlier, later in itertools.pairwise(times):
        if later - earlier < least:
            yield "hasty", f"{later - earlier:.1f} s after the one before"


def _callbacks(case: Case) -> Iterator[tuple[str, str]]:
    statuses = {callback.status for callback in case.callbacks}
    if case.ended and case.status not in statuses:
        state = (case.view or {}).get("callback")
        yield "untold", f"it is {case.status}, its caller got {statuses or 'no callback'}: {state}"
    wrong = statuses - {case.status}
    if wrong and case.view is not None:
        yield "told wrong", f"it is {case.status}, its caller got {sorted(map(str, statuses))}"
    for callback in case.callbacks:
        if not callback.path.endswith(f"/{case.job.number}"):
            yield "told wrong", f"callback to {callback.path}"


def _whole(trial: EvidenceByJob) -> Iterator[Finding]:
    evidence = trial.evidence
    for task in trial.tasks.get(NOBODY, ()):
        yield Finding("unclaimed", None, f"task {task['id']} of no job of the plan")
    known = {case.job_id for case in trial.cases}
    for callback in evidence.callbacks:
        number = _last_number(callback.path)
        if not callback.verified:
            yield Finding("badly signed", number, callback.path)
        elif callback.job_id not in known:
            yield Finding("told wrong", number, f"callback for the unknown job {callback.job_id}")
    yield from (Finding(rule, None, text) for rule, text in check_batches(evidence))
    yield from _forgeries(trial)
    yield from _strays(trial)
    yield from _letters(trial)
    yield from _listed(trial)
    yield from _leftovers(trial)
    for name in evidence.unexpected_exits:
        yield Finding("own end", None, name)


def _last_number(path: str) -> int | None:
    last = path.rpartition("/")[2]
    return int(last) if last.isdigit() else None


def _forgeries(trial: EvidenceByJob) -> Iterator[Finding]:
    for case in trial.cases:
        for task in case.tasks:
            for delivery in task["deliveries"]:
                if delivery.get("forged") and str(delivery.get("status", "")).startswith("2"):
                    text = f"answered {delivery['status']}"
                    yield Finding("forged", case.job.number, text)
    if trial.evidence.decoy_requests:
        text = f"the decoy image was requested {trial.evidence.decoy_requests} times"
        yield Finding("forged", None, text)


def _strays(trial: EvidenceByJob) -> Iterator[Finding]:
    owned = {key for case in trial.cases for key in keys_of(case)}
    owned |= results_keys(trial.evidence)
    numbers = {case.job_id: case.job.number for case in trial.cases}
    for key in trial.evidence.bucket:
        if key.startswith("_inputs/"):
            owner = key.split("/")[1]
            left = trial.evidence.leftovers
            if owner not in left.guards | left.letters:
                yield Finding("inputs left", numbers.get(owner), key)
        elif key not in owned and not key.startswith("_probe/") and not _made_before(key, trial):
            yield Finding("stray", None, key)
    for key in trial.evidence.unfinished_uploads:
        yield Finding("uploads left", None, f"parts of {key}")


def _made_before(key: str, trial: EvidenceByJob) -> bool:
    """Return whether an object is of a first, partly stored result, whose job was then canceled."""
    canceled = (case for case in trial.cases if case.status == CANCELED and case.regenerations)
    return any(str(case.job_id) in key for case in canceled)


def _letters(trial: EvidenceByJob) -> Iterator[Finding]:
    letters = trial.evidence.leftovers.letters
    due = {case.job_id: case.job.number for case in trial.cases if case.end in _DEAD_LETTERS}
    for job_id in letters.symmetric_difference(job_id for job_id in due if job_id):
        text = f"{job_id} is {'' if job_id in letters else 'not '}listed"
        yield Finding("unlisted", due.get(job_id), text)


def _listed(trial: EvidenceByJob) -> Iterator[Finding]:
    listed = trial.evidence.listed
    if listed is None:
        return
    statuses: dict[str, list[str]] = {}
    for job_id, status in listed:
        statuses.setdefault(job_id, []).append(status)
    for case in trial.cases:
        if case.job_id and case.ended and statuses.get(case.job_id) != [case.status]:
            shown = statuses.get(case.job_id, "nowhere")
            yield Finding("listed wrong", case.job.number, f"it is {case.status}, listed {shown}")


def _leftovers(trial: EvidenceByJob) -> Iterator[Finding]:
    left = trial.evidence.leftovers
    numbers = {case.job_id: case for case in trial.cases if case.job_id}
    still = {case.job_id for case in trial.cases if case.view is not None and not case.ended}

    def found(rule: str, members: Sequence[str], what: str) -> Iterator[Finding]:
        for member in members:
            job_id = next(
                (part for part in (member, member[:36], member[-36:]) if part in numbers), None
            )
            if job_id not in still or job_id is None:
                number = numbers[job_id].job.number if job_id else None
                yield Finding(rule, number, f"{what} {member}")

    yield from found("slots held", left.slots, "slot of")
    yield from found("tasks left", left.queued, "RQ task")
    yield from found("tasks left", left.backlog, "backlog of")
    yield from found("due left", left.due, "due")
