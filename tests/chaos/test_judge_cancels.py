"""The judge knows what a canceled job may leave behind, and what not."""

from dataclasses import replace

from chaos.judge.cases import EvidenceByJob
from chaos.judge.evidence import BucketObject
from chaos.judge.judge import judge
from chaos.judge.verdict import Verdict
from tests.chaos.sample_evidence import GOOD, ID, KEY, SHA, canceled


def test_a_canceled_job_breaks_no_rule() -> None:
    """Its task's image was paid for and thrown away, as the caller was told."""
    evidence = canceled(_200=2, _503=1)(GOOD)

    assert judge(evidence) == []
    verdict = Verdict(EvidenceByJob(evidence), [], 0.0, 1.0, in_time=True)
    assert verdict.ends["canceled"] == (1, 1)
    assert verdict.counts["canceled"] == 1
    assert verdict.counts["  whose task's result was discarded"] == 1


def test_a_cancel_that_came_too_late_breaks_no_rule() -> None:
    """The answer showed the success that it found, or that the result was being stored."""
    assert judge(canceled("succeeded", "succeeded", _200=1)(GOOD)) == []
    late = canceled("succeeded", "succeeded", _409=1)(GOOD)
    assert (
        judge(replace(late, intakes=[replace(late.intakes[0], canceled_as=None), late.intakes[1]]))
        == []
    )


def test_what_was_stored_before_a_canceled_job_was_made_again_is_no_stray() -> None:
    """Its first result was stored in part, and expired: the object is no result of the job."""
    evidence = canceled()(GOOD)
    view_of = evidence.views[ID]
    assert view_of is not None
    again = {**view_of, "provider": {**view_of["provider"], "expired": {"id": "t", "cost": 1}}}
    left_behind = replace(
        evidence, views={**evidence.views, ID: again}, bucket={KEY: BucketObject(5, SHA)}
    )

    assert judge(left_behind) == []
