"""The verdict on a run: the table, and the evidence about each job that broke a rule."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from chaos.actors.killer import RECEIVER, Death
from chaos.judge.cases import CANCELED, Case, EvidenceByJob
from chaos.judge.judge import Finding, judge
from chaos.judge.results import BUNDLE
from chaos.plan.invariants import RULES

#: Above this many bytes, a file is stored in parts.
_ONE_PART: Final = 64 * 1024 * 1024


@dataclass(frozen=True)
class Verdict:
    """A judged run.

    Args:
        trial: The evidence.
        deaths: The downtimes.
        began_at: Unix time of the start.
        seconds: Duration, judging included.
        in_time: Whether it ended before its time limit.
    """

    trial: EvidenceByJob
    deaths: Sequence[Death]
    began_at: float
    seconds: float
    in_time: bool

    @cached_property
    def findings(self) -> Sequence[Finding]:
        """Every broken rule."""
        return judge(self.trial.evidence)

    @property
    def holds(self) -> bool:
        """Whether it ended in time and no rule was broken."""
        return self.in_time and not self.findings

    @cached_property
    def broken(self) -> Mapping[str, int]:
        """Number of jobs (or other things) that broke each rule."""
        things = {
            (found.rule, found.number, found.number is None and found.text)
            for found in self.findings
        }
        counts = Counter(rule for rule, _, _ in things)
        return {rule: counts[rule] for rule in RULES}

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """What happened, without judgement."""
        cases, evidence = self.trial.cases, self.trial.evidence
        answers: Counter[str] = sum((intake.answers for intake in evidence.intakes), Counter())
        deliveries = [d for task in evidence.tasks for d in task["deliveries"]]
        left = evidence.leftovers
        return {
            "jobs": len(cases),
            "accepted": sum(1 for case in cases if case.job_id),
            "requests": answers.total(),
            "repeated requests": answers.total() - answers["202"],
            "tasks at the provider": len(evidence.tasks),
            "tasks refused with 429": int(evidence.rejections.get("429", 0)),
            "resubmits in doubt": sum(case.resubmits for case in cases),
            "  since an answer was broken": sum(c.resubmits for c in cases if c.job.in_doubt),
            "  since something was killed": sum(c.resubmits for c in cases if not c.job.in_doubt),
            "  of these paid twice": sum(
                max(0, len(case.tasks) - 1 - case.regenerations) for case in cases if case.resubmits
            ),
            "canceled": sum(1 for case in cases if case.status == CANCELED),
            "  whose task's result was discarded": sum(1 for case in cases if case.discarded),
            **self._batches(),
            "regenerated": sum(case.regenerations for case in cases),
            "webhooks delivered": sum(1 for d in deliveries if str(d.get("status", "")) == "200"),
            "webhooks not delivered": sum(1 for d in deliveries if "error" in d),
            "forged webhooks refused": sum(
                1
                for d in deliveries
                if d.get("forged") and d.get("status") == 401  # noqa: PLR2004 - HTTP
            ),
            "least margin in seconds": self._least_margin(),
            **self._stored(),
            "callbacks": len(evidence.callbacks),
            "told twice": self._told_twice(),
            "kills": sum(count for name, count in self.kills.items() if name != RECEIVER),
            "inputs guarded": len(left.guards),
            "dead letters": len(left.letters),
            "RQ registries: popped": len(left.intermediate),
            "RQ registries: started": len(left.started),
            "RQ registries: orphaned": len(left.orphaned),
        }

    @cached_property
    def ends(self) -> Mapping[str, tuple[int, int]]:
        """How the accepted jobs ended: code -> how many, and how many of them as planned."""
        accepted = [case for case in self.trial.cases if case.job_id]
        counts = Counter(case.end for case in accepted)
        right = Counter(case.end for case in accepted if case.as_planned)
        return {end: (count, right[end]) for end, count in counts.most_common()}

    @property
    def kills(self) -> Mapping[str, int]:
        """Number of kills, by process."""
        return Counter(death.target for death in self.deaths if death.planned)

    def _stored(self) -> Mapping[str, int]:
        """Return how many of the stored results are videos, and how many of these have what."""
        videos = [c for c in self.trial.cases if c.status == "succeeded" and c.job.is_video]
        files = [artifact for case in videos for artifact in case.artifacts]
        return {
            "videos stored": len(videos),
            "  with a draft's bundle": sum(1 for file in files if file["role"] == BUNDLE),
            "  in several parts": sum(1 for file in files if file["bytes"] > _ONE_PART),
        }

    def _batches(self) -> Mapping[str, int]:
        """Return how many batches were accepted, and how many jobs they became."""
        batches = self.trial.evidence.batches
        return {
            "batches": sum(1 for batch in batches if batch.intake.ids),
            "  their jobs": sum(len(batch.intake.jobs) for batch in batches),
        }

    def _least_margin(self) -> int:
        """Return the lowest number of seconds that a link had left when its result was stored."""
        margins = [
            datetime.fromisoformat(task["expires_at"]) - datetime.fromisoformat(at)
            for case in self.trial.cases
            if case.status == "succeeded" and case.view and case.artifacts
            for task in case.tasks
            if task["sha256"] == case.artifacts[0]["sha256"]
            for at in [case.view["timeline"][-1]["at"]]
        ]
        return int(min(margins, default=timedelta()).total_seconds())

    def _told_twice(self) -> int:
        ids = Counter(callback.message_id for callback in self.trial.evidence.callbacks)
        return sum(1 for message_id, count in ids.items() if message_id and count > 1)


def job_evidence(case: Case, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the evidence about one job, for debugging."""
    view = case.view or {}
    return {
        "number": case.job.number,
        "job_id": case.job_id,
        "broken": [f"{found.rule}: {found.text}" for found in findings],
        "planned": {
            "at": case.job.at,
            "kind": case.job.kind,
            "model": case.job.model,
            "faults": [list(trouble) for trouble in case.job.faults],
            "must_end": case.job.ends,
        },
        "caller": {
            "ids": case.intake.ids,
            "answers": dict(case.intake.answers),
            "cancels": dict(case.intake.cancels),
        },
        "service": {
            name: view.get(name)
            for name in ("status", "error", "timeline", "artifacts", "callback", "provider")
        },
        "ledger": [
            {
                name: task[name]
                for name in (
                    "id", "status", "created_at", "finished_at", "expires_at", "sha256",
                    "artifacts", "deliveries", "polls", "downloads",
                )
            }
            for task in case.tasks
        ],
        "receiver": [[told.status, told.message_id, told.verified] for told in case.callbacks],
    }  # fmt: skip
