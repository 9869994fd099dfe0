"""The judge finds each rule that is broken: one that cannot fail would be worth nothing."""

from collections import Counter
from dataclasses import replace
from typing import Any, Final

import pytest

from chaos.actors.callers import Intake
from chaos.judge.cases import EvidenceByJob
from chaos.judge.evidence import BucketObject, Evidence, ReceivedCallback
from chaos.judge.judge import judge
from chaos.judge.verdict import Verdict, job_evidence
from chaos.plan.invariants import RULES
from tests.chaos.sample_evidence import (
    DRAFT,
    FAILED,
    GOOD,
    ID,
    KEY,
    OTHER,
    SHA,
    SHA_2,
    Change,
    canceled,
    failure,
    job,
    task,
    view,
)

#: A callback that tells another end than the job had.
UNVERIFIED: Final = ReceivedCallback("/callbacks/0", verified=False)
WRONG: Final = ReceivedCallback("/callbacks/0", True, "m", ID, "failed")


def seen(**more: Any) -> Change:
    """Return a change of what the service shows of the success."""
    return lambda good: replace(good, views={**good.views, ID: view(**more)})


def entries(*tasks: dict[str, Any]) -> Change:
    """Return a change of the first job's tasks."""
    return lambda good: replace(good, tasks=[*tasks, good.tasks[1]])


def lying(**things: BucketObject | None) -> Change:
    """Return a change of the bucket; `image` and `manifest` stand for their keys, None: gone."""
    names = {"image": KEY, "manifest": f"{KEY}.json"}

    def change(good: Evidence) -> Evidence:
        changed = {names.get(name, name): thing for name, thing in things.items()}
        bucket = {**good.bucket, **changed}
        return replace(good, bucket={key: thing for key, thing in bucket.items() if thing})

    return change


def left(**more: Any) -> Change:
    """Return a change of what is left in Redis."""
    return lambda good: replace(good, leftovers=replace(good.leftovers, **more))


def heard(*told: ReceivedCallback) -> Change:
    """Return a change of what the first job's caller heard."""
    return lambda good: replace(good, callbacks=[*told, good.callbacks[2]])


def intake(*ids: str, **answers: int) -> Change:
    """Return a change of what the first caller was answered."""
    counted = Counter({name.strip("_"): count for name, count in answers.items()})
    return lambda good: replace(good, intakes=[Intake(list(ids), counted), good.intakes[1]])


def pages(*jobs: tuple[str, str]) -> Change:
    """Return a change of what the service lists."""
    return lambda good: replace(good, listed=jobs)


def both(*changes: Change) -> Change:
    """Return changes as one."""

    def change(good: Evidence) -> Evidence:
        for each in changes:
            good = each(good)
        return good

    return change


_ENDED = "2026-11-21T16:26:00.771Z"
_UNPAID = {"provider": {"id": "task-1", "resubmits": 1}}
_GENERATING = view(status="generating", image=None, artifacts=[])

BROKEN: Final[list[tuple[str, str, Change]]] = [
    ("refused", "no 202", both(intake(_503=9), entries(), lambda e: replace(e, views={}))),
    ("misled", "a 500", intake(ID, _202=1, _500=1)),
    ("misled", "a conflict", intake(ID, _202=1, _422=1)),
    ("doubled", "two ids", intake(ID, OTHER, _202=2)),
    ("lost", "unknown", lambda e: replace(e, views={FAILED: e.views[FAILED], ID: None})),
    ("lost", "no object", lying(image=None)),
    ("lost", "no manifest", lying(manifest=None)),
    ("lost", "a torn manifest", lying(manifest=BucketObject(3, SHA_2))),
    ("lost", "no image", seen(image=None)),
    ("lost", "nothing", seen(image=None, artifacts=[])),
    ("bundle lost", "of a draft", lambda _: replace(DRAFT, bucket={})),
    ("lost", "paid for, then failed", lambda e: replace(e, views={**e.views, ID: failure("lost")})),
    ("stuck", "generating", lambda e: replace(e, views={**e.views, ID: _GENERATING})),
    ("unexpected", "expired", lambda e: replace(e, views={**e.views, ID: failure("timed_out")})),
    ("unexpected", "a success", lambda e: replace(e, views={**e.views, FAILED: view()})),
    ("unexpected", "a cancel of nobody", seen(status="canceled", image=None, artifacts=[])),
    ("uncanceled", "a success", canceled(status="succeeded")),
    ("misled", "a cancel", canceled(_404=1)),
    ("stray", "of a cancel", both(canceled(), lying(image=BucketObject(5, SHA)))),
    ("slots held", "by a canceled job", both(canceled(), left(slots=(ID,)))),
    ("unlisted", "a canceled job", both(canceled(), left(letters=frozenset({ID})))),
    ("paid twice", "two tasks", entries(task(), task(at="30"))),
    ("paid twice", "three", both(entries(task(), task(at="20"), task(at="40")), seen(**_UNPAID))),
    ("hasty", "after 1 s", both(entries(task(), task(at="01")), seen(**_UNPAID))),
    ("unclaimed", "no 202", both(intake(_503=9), lambda e: replace(e, views={}))),
    ("unclaimed", "of no plan", entries(task(), task(request={"prompt": "who?"}))),
    ("wrong bytes", "in the bucket", lying(image=BucketObject(5, SHA_2))),
    ("wrong bytes", "cut", lying(image=BucketObject(4, SHA))),
    ("wrong bytes", "another's", entries(task(sha256=SHA_2))),
    ("wrong bytes", "in the manifest", lying(manifest=BucketObject(9, SHA_2, {"artifacts": []}))),
    ("wrong bytes", "shown", seen(image={"key": KEY, "sha256": SHA_2, "bytes": 5})),
    ("stray", "of nobody", lying(stranger=BucketObject(1, SHA))),
    ("stray", "of a failure", lambda e: replace(e, views={**e.views, ID: failure("lost")})),
    ("untold", "silence", heard()),
    ("untold", "unverified", heard(UNVERIFIED)),
    ("told wrong", "another end", heard(WRONG)),
    ("told wrong", "both ends", heard(GOOD.callbacks[0], WRONG)),
    ("told wrong", "elsewhere", heard(replace(WRONG, path="/callbacks/7", status="succeeded"))),
    ("told wrong", "of another", heard(*GOOD.callbacks[:2], replace(WRONG, job_id=OTHER))),
    ("badly signed", "one", heard(*GOOD.callbacks[:2], UNVERIFIED)),
    ("forged", "accepted", entries(task(deliveries=[{"status": 200, "forged": True}]))),
    ("forged", "fetched", lambda e: replace(e, decoy_requests=1)),
    ("inputs left", "of a job", lying(**{f"_inputs/{ID}/input_image": BucketObject(1, SHA)})),
    ("inputs left", "of nobody", lying(**{f"_inputs/{FAILED[:-1]}9/image": BucketObject(1, SHA)})),
    ("uploads left", "of a video", lambda e: replace(e, unfinished_uploads=["a.mp4"])),
    ("unlisted", "a dead letter", lambda e: replace(e, views={**e.views, FAILED: failure("lost")})),
    ("unlisted", "no dead letter", left(letters=frozenset({ID}))),
    ("listed wrong", "nowhere", pages((ID, "succeeded"))),
    ("listed wrong", "twice", pages((FAILED, "failed"), (ID, "succeeded"), (ID, "succeeded"))),
    ("listed wrong", "as another status", pages((FAILED, "storing"), (ID, "succeeded"))),
    ("slots held", "by an ended job", left(slots=(ID,))),
    ("slots held", "by nobody", left(slots=(OTHER,))),
    ("tasks left", "in a queue", left(queued=(f"{ID}-submit-1",))),
    ("tasks left", "in the backlog", left(backlog=(ID,))),
    ("due left", "a deadline", left(due=(f"deadline:{ID}",))),
    ("own end", "a worker", lambda e: replace(e, unexpected_exits=["worker.submit"])),
]  # fmt: skip


def rules(evidence: Evidence) -> set[str]:
    """Return the rules that the judge finds broken."""
    return {found.rule for found in judge(evidence)}


def test_a_good_run_breaks_no_rule() -> None:
    """A success told twice and an expected failure, guarded inputs, a probe, a list: all right."""
    inputs, probe = f"_inputs/{OTHER}/input_image", "_probe/condition"
    guarded = lying(**{inputs: BucketObject(1, SHA), probe: BucketObject(1, SHA)})(GOOD)
    listed = pages((OTHER, "queued"), (FAILED, "failed"), (ID, "succeeded"))(guarded)

    assert judge(listed) == []


@pytest.mark.parametrize(
    ("rule", "change"),
    [(rule, change) for rule, _, change in BROKEN],
    ids=[f"{rule}: {how}" for rule, how, _ in BROKEN],
)
def test_a_broken_rule_is_found(rule: str, change: Change) -> None:
    """What breaks a rule is found, and named."""
    assert rule in rules(change(GOOD))


def test_every_rule_can_be_broken() -> None:
    """There is a case for each rule: above, or among those of batches."""
    of_batches = {"half batch", "batch misreported"}
    assert {rule for rule, _, _ in BROKEN} | of_batches == set(RULES)


def test_a_repeated_submit_that_was_counted_is_no_second_payment() -> None:
    """Two tasks, a doubt apart, of a job that owns up to a resubmit break nothing."""
    repeated = both(entries(task(), task(at="30")), seen(**_UNPAID))(GOOD)
    verdict = Verdict(EvidenceByJob(repeated), [], 0.0, 1.0, in_time=True)

    assert verdict.holds
    assert verdict.counts["resubmits in doubt"] == 1
    assert verdict.counts["  of these paid twice"] == 1
    assert verdict.counts["told twice"] == 1
    assert verdict.counts["least margin in seconds"] == 59


def test_an_image_made_anew_that_was_owned_up_to_is_no_second_payment() -> None:
    """A job that names the task whose result expired may have been made once more, at once."""
    anew = {"provider": {"id": "task-01", "resubmits": 0, "expired": {"id": "task-00"}}}
    again = both(entries(task(), task(at="01")), seen(**anew))(GOOD)

    assert judge(again) == []


def _lost(*deliveries: dict[str, object]) -> Evidence:
    """Return a run in which a job that the provider took without naming its task is lost."""
    lost = failure("lost") | {"ended_at": _ENDED}
    return replace(
        GOOD,
        jobs=[job(0, ("answer-unnamed", 1)), GOOD.jobs[1]],
        views={ID: lost, FAILED: GOOD.views[FAILED]},
        tasks=[task(deliveries=list(deliveries)), GOOD.tasks[1]],
        bucket={},
        callbacks=[
            ReceivedCallback("/callbacks/0", True, f"msg_{ID}", ID, "failed"),
            GOOD.callbacks[2],
        ],
        leftovers=replace(GOOD.leftovers, letters=frozenset({ID})),
    )


def test_a_job_may_be_lost_whose_task_nobody_named() -> None:
    """The answer named none, and its webhook was refused, or came when the job had ended."""
    late = {"status": 200, "at": "2026-11-21T16:26:10+00:00"}
    lost = _lost({"status": 503, "at": "2026-11-21T16:25:10+00:00"}, late)

    assert judge(lost) == []
    assert Verdict(EvidenceByJob(lost), [], 0.0, 1.0, in_time=True).ends["lost"] == (1, 1)


def test_a_job_whose_webhook_was_taken_must_not_be_lost() -> None:
    """The webhook named the task, so nothing was left to be lost."""
    assert {"lost", "unexpected"} <= rules(
        _lost({"status": 200, "at": "2026-11-21T16:25:10+00:00"})
    )


def test_a_doubt_that_nothing_can_settle_may_be_repeated_at_once() -> None:
    """A model without a webhook has nothing to wait for."""
    polled = [replace(GOOD.jobs[0], kind="flux-tools/outpainting-v1"), *GOOD.jobs[1:]]
    twice = both(entries(task(), task(at="01")), seen(**_UNPAID))(GOOD)

    assert judge(replace(twice, jobs=polled)) == []


def test_a_slot_of_a_job_that_is_under_way_is_no_finding_of_its_own() -> None:
    """A job that is stuck holds its slot rightly; that it is stuck is what is found."""
    stuck = both(lambda e: replace(e, views={**e.views, ID: _GENERATING}), left(slots=(ID,)))(GOOD)

    assert "stuck" in rules(stuck)
    assert "slots held" not in rules(stuck)


def test_the_dossier_holds_what_each_judge_says() -> None:
    """One reads in it what the caller, the service, the ledger and the receiver said."""
    broken = entries(task(), task(at="30"))(GOOD)
    verdict = Verdict(EvidenceByJob(broken), [], 0.0, 1.0, in_time=True)

    told = job_evidence(verdict.trial.cases[0], verdict.findings)

    assert told["broken"] == ["paid twice: 2 tasks, 1 at most"]
    assert told["caller"]["ids"] == [ID, ID]
    assert told["service"]["status"] == "succeeded"
    assert [entry["id"] for entry in told["ledger"]] == ["task-00", "task-30"]
    assert len(told["receiver"]) == 2
