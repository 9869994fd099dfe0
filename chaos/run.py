"""One run from its start to its verdict."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from chaos import collect_evidence
from chaos.actors.batch_callers import BatchCallers
from chaos.actors.callers import Callers
from chaos.actors.decoy import Decoy
from chaos.actors.killer import Killer
from chaos.judge.cases import EvidenceByJob
from chaos.judge.evidence import TERMINAL, BatchEvidence, Evidence
from chaos.judge.verdict import Verdict
from chaos.plan import time_scale
from chaos.plan.plan import Plan, sandbox_faults
from stack.options import StackOptions
from stack.receiver import CallbackReceiver
from stack.stack import Stack

#: Called with the state of the run.
Say = Callable[[str], None]

_LOOK_EVERY: Final = 0.5  # seconds
#: Seconds without a new callback after which the service is asked for the remaining jobs.
_SILENCE: Final = 6.0
#: Seconds for the steps after the last end (record callbacks, delete inputs) before judging. The
#: task of a canceled job may be in doubt for several times as long as a first doubt.
_SETTLING: Final = 90.0


@dataclass
class Run:
    """A run in progress.

    Args:
        plan: The plan.
        stack: The started stack.
        receiver: The callers' callback receiver.
        decoy: The decoy image that forged webhooks name.
        limit: Seconds after which it is judged, finished or not.
        say: Called with the state of the run.
    """

    plan: Plan
    stack: Stack
    receiver: CallbackReceiver
    decoy: Decoy
    limit: float
    say: Say

    def carry_out(self) -> Verdict:
        """Send jobs, kill processes, wait for the end, and judge.

        Raises:
            ProcessFailedError: A process did not come back.
            httpx.HTTPError: Evidence could not be collected.
        """
        self.receiver.trust(self._callback_secret())
        self._set_faults()
        callers = Callers(
            self.plan,
            service_url=self.stack.service_url,
            api_key=self.stack.api_key,
            callback_url=self.receiver.url,
        )
        batches = BatchCallers(
            self.plan,
            service_url=self.stack.service_url,
            api_key=self.stack.api_key,
            callback_url=self.receiver.url,
            intakes=callers.intakes,
        )
        killer = Killer(self.stack, self.receiver, self.plan)
        began_at, began = time.time(), time.monotonic()
        deadline = began + self.limit
        callers.start()
        batches.start()
        killer.start()
        try:
            in_time = self._await_end(callers, batches, killer, deadline)
            killer.finish()
        finally:
            killer.stop()
            callers.close()
            batches.close()
        if in_time:
            self._settle(callers)
        self.say("collecting evidence")
        evidence = self._evidence(callers, batches, killer)
        return Verdict(
            EvidenceByJob(evidence), killer.deaths, began_at, time.monotonic() - began, in_time
        )

    def _callback_secret(self) -> str:
        headers = {"authorization": f"Bearer {self.stack.api_key}"}
        url = f"{self.stack.service_url}/v1/callback-secret"
        answer = httpx.get(url, headers=headers, timeout=10, trust_env=False)
        return str(answer.raise_for_status().json()["secret"])

    def _set_faults(self) -> None:
        asked = sandbox_faults(self.plan, self.decoy.url)
        url = f"{self.stack.sandbox_url}/sandbox/faults"
        httpx.post(url, json=asked, timeout=30, trust_env=False).raise_for_status()

    def _await_end(
        self, callers: Callers, batches: BatchCallers, killer: Killer, deadline: float
    ) -> bool:
        """Return whether all accepted jobs ended, with callbacks delivered, before the deadline."""
        last_count, changed = -1, time.monotonic()
        while time.monotonic() < deadline:
            told = self._told()
            kills = killer.kills.total()
            self.say(
                f"{callers.accepted:,} of {len(self.plan.jobs):,} accepted, {len(told):,} told of "
                f"their end, {kills} kills"
            )
            if len(told) != last_count:
                last_count, changed = len(told), time.monotonic()
            if callers.done and batches.done and killer.is_done:
                open_jobs = {intake.ids[0] for intake in callers if intake.ids} - told
                silent = time.monotonic() - changed > _SILENCE
                if not open_jobs or (silent and self._all_ended(open_jobs)):
                    return True
                if silent:
                    changed = time.monotonic()
            time.sleep(_LOOK_EVERY)
        return False

    def _told(self) -> set[str]:
        return {
            told.job_id
            for told in collect_evidence.received_callbacks(self.receiver.callbacks)
            if told.job_id
        }

    def _all_ended(self, job_ids: set[str]) -> bool:
        """Return whether all jobs have ended and no callback is pending."""
        try:
            views = collect_evidence.views(self.stack, job_ids).values()
        except httpx.HTTPError:
            return False
        return all(
            view is None
            or (view["status"] in TERMINAL and (view["callback"] or {}).get("state") != "pending")
            for view in views
        )

    def _settle(self, callers: Callers) -> None:
        deadline = time.monotonic() + _SETTLING
        while time.monotonic() < deadline:
            left = collect_evidence.leftovers(self.stack)
            owners = {key.split("/")[1] for key in collect_evidence.inputs(self.stack)}
            inputs = owners - left.guards - left.letters
            busy = (left.slots, left.queued, left.backlog, left.due)
            if not any(busy) and not inputs:
                return
            self.say(f"{callers.accepted:,} accepted; waiting for the last steps")
            time.sleep(_LOOK_EVERY)

    def _evidence(self, callers: Callers, batches: BatchCallers, killer: Killer) -> Evidence:
        ids = {job_id for intake in callers for job_id in intake.ids}
        shown = collect_evidence.views(self.stack, ids)
        books = collect_evidence.ledger(self.stack)
        return Evidence(
            jobs=self.plan.jobs,
            intakes=callers.intakes,
            views=shown,
            tasks=books["tasks"],
            rejections=books["rejections"],
            bucket=collect_evidence.bucket(self.stack),
            callbacks=collect_evidence.received_callbacks(self.receiver.callbacks),
            decoy_requests=self.decoy.requests,
            leftovers=collect_evidence.leftovers(self.stack),
            unexpected_exits=[death.target for death in killer.unexpected_exits],
            listed=collect_evidence.listed(self.stack),
            unfinished_uploads=collect_evidence.unfinished_uploads(self.stack),
            batches=[
                BatchEvidence(*one) for one in zip(self.plan.batches, batches.batches, strict=True)
            ],
            batch_callbacks=collect_evidence.received_callbacks(
                self.receiver.callbacks, of_batches=True
            ),
        )


def run(plan: Plan, *, directory: Path, limit: float, say: Say) -> Verdict:
    """Start a stack, carry the plan out on it, and stop it.

    Args:
        plan: The plan.
        directory: Folder for data and logs.
        limit: Seconds after which it is judged, finished or not.
        say: Called with the state of the run.

    Raises:
        ProcessFailedError: A process did not start, or did not come back at all.
        httpx.HTTPError: Evidence could not be collected.
    """
    say("starting everything")
    directory.mkdir(parents=True, exist_ok=True)
    models = directory / "models.json"
    models.write_text(time_scale.MODELS_FILE, encoding="utf-8")
    options = StackOptions(
        directory=directory,
        relay_variables={**time_scale.RELAY, "FLUXRELAY_MODELS_FILE": str(models.absolute())},
        sandbox_variables=time_scale.SANDBOX,
    )
    with Stack(options) as stack, CallbackReceiver() as receiver, Decoy() as decoy:
        return Run(plan, stack, receiver, decoy, limit, say).carry_out()
