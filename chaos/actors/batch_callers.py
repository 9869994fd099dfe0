"""Callers of batches: each sends its batch until it gets a 202, and waits for its end."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from chaos.actors.callers import Intake
from chaos.plan.job_orders import order
from chaos.plan.plan import Plan, PlannedBatch

_PATIENCE: Final = 20.0  # seconds for one request
_WAITS: Final = (0.1, 0.2, 0.4, 0.8)  # seconds between retries; the last value repeats
_LOOK_EVERY: Final = 1.0  # seconds
_LINES: Final = "application/x-ndjson"


@dataclass
class BatchIntake:
    """The answers that the caller of one batch got.

    Attributes:
        ids: The batch's id in each 202, in order; they must all be the same.
        answers: The outcome of each request: a status, or an error's name.
        view: The batch as the service showed it when it had completed.
        jobs: The job id and the `custom_id` of each job that the service then listed.
    """

    ids: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    view: Mapping[str, Any] | None = None
    jobs: list[tuple[str, str]] = field(default_factory=list)


class BatchCallers:
    """Send a plan's batches, each at its time.

    Args:
        plan: The plan.
        service_url: The service's URL.
        api_key: Their key.
        callback_url: Base of the callback URLs.
        intakes: The answers by the job's number; get the jobs of each batch once it has completed.

    Attributes:
        batches: The answers of each caller, by the batch's number.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        service_url: str,
        api_key: str,
        callback_url: str,
        intakes: Sequence[Intake],
    ) -> None:
        self.batches = [BatchIntake() for _ in plan.batches]
        self._plan = plan
        self._callback_url = callback_url
        self._intakes = intakes
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._http = httpx.Client(
            base_url=service_url,
            headers={"authorization": f"Bearer {api_key}"},
            timeout=_PATIENCE,
            trust_env=False,
        )
        self._threads = [
            threading.Thread(target=self._call, args=[batch], name="batch caller", daemon=True)
            for batch in plan.batches
        ]

    def start(self) -> None:
        """Start sending."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    @property
    def done(self) -> bool:
        """Whether every batch has completed."""
        return not any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Cancel everything that has not been sent."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_PATIENCE * 2)
        self._http.close()

    def _call(self, batch: PlannedBatch) -> None:
        self._stop.wait(max(0.0, self._began + batch.at - time.monotonic()))
        mine, body = self.batches[batch.number], self._body(batch)
        timeouts = itertools.chain([batch.first_timeout or _PATIENCE], itertools.repeat(_PATIENCE))
        waits = itertools.chain(_WAITS, itertools.repeat(_WAITS[-1]))
        while not self._stop.is_set() and not self._post(batch, body, next(timeouts)):
            self._stop.wait(next(waits))
        if batch.again and not self._stop.is_set():
            self._post(batch, body, _PATIENCE)
        while not self._stop.is_set() and not self._look(mine):
            self._stop.wait(_LOOK_EVERY)

    def _post(self, batch: PlannedBatch, body: bytes, timeout: float) -> bool:
        mine = self.batches[batch.number]
        key = f"chaos-{self._plan.seed}-batch-{batch.number}"
        headers = {"idempotency-key": key, "content-type": _LINES}
        try:
            answer = self._http.post("/v1/batches", content=body, headers=headers, timeout=timeout)
            batch_id = (
                str(answer.json()["id"]) if answer.status_code == httpx.codes.ACCEPTED else ""
            )
        except httpx.HTTPError as error:
            mine.answers[type(error).__name__] += 1
            return False
        mine.answers[str(answer.status_code)] += 1
        mine.ids += [batch_id] if batch_id else []
        return bool(batch_id)

    def _look(self, mine: BatchIntake) -> bool:
        """Return whether the batch has completed; then note its jobs."""
        try:
            view = self._http.get(f"/v1/batches/{mine.ids[0]}").raise_for_status().json()
            if view["status"] != "completed":
                return False
            jobs = self._jobs(mine.ids[0])
        except httpx.HTTPError:
            return False
        for job_id, custom_id in jobs:
            intake = self._intakes[int(custom_id)]
            intake.ids.append(job_id)
            intake.answers["202"] += 1
            intake.accepted_at = time.time()
        mine.view, mine.jobs = view, jobs
        return True

    def _jobs(self, batch_id: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        cursor: str | None = None
        while True:
            query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            answer = self._http.get(f"/v1/batches/{batch_id}/jobs", params=query)
            page = answer.raise_for_status().json()
            found += [(job["id"], job["batch"]["custom_id"]) for job in page["jobs"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    def _body(self, batch: PlannedBatch) -> bytes:
        lines: list[dict[str, Any]] = [
            {"callback": {"url": f"{self._callback_url}/batch-{batch.number}"}}
        ]
        for number in batch.jobs:
            job = self._plan.jobs[number]
            asked = order(
                kind=job.kind,
                prompt=job.prompt,
                size=job.size,
                image=job.image,
                callback_url=f"{self._callback_url}/{number}",
                number=number,
            )
            lines.append({"custom_id": str(number), **asked})
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
