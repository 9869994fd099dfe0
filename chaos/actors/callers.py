"""Well-behaved callers: each sends its job with one idempotency key until it gets a 202."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx

from chaos.plan.job_orders import order
from chaos.plan.plan import Plan, PlannedJob

_THREADS: Final = 12
_PATIENCE: Final = 10.0  # seconds for one request
_WAITS: Final = (0.1, 0.2, 0.4, 0.8)  # seconds between retries; the last value repeats


@dataclass
class Intake:
    """The answers that one caller got.

    Attributes:
        ids: The job id in each 202, in order; they must all be the same.
        answers: The outcome of each request: a status, or an error's name.
        accepted_at: Unix time of the first 202.
        cancels: The outcome of each request to cancel it: a status, or an error's name.
        canceled_as: The job's status in the 200 to that request.
    """

    ids: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    accepted_at: float | None = None
    cancels: Counter[str] = field(default_factory=Counter)
    canceled_as: str | None = None


class Callers:
    """Send a plan's jobs, each at its time.

    Args:
        plan: The plan.
        service_url: The service's URL.
        api_key: Their key.
        callback_url: Base of the callback URLs.

    Attributes:
        intakes: The answers of each caller, by the job's number.
    """

    def __init__(self, plan: Plan, *, service_url: str, api_key: str, callback_url: str) -> None:
        self.intakes = [Intake() for _ in plan.jobs]
        self._plan = plan
        self._callback_url = callback_url
        self._next = plan.singles
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._http = httpx.Client(
            base_url=service_url,
            headers={"authorization": f"Bearer {api_key}"},
            timeout=_PATIENCE,
            limits=httpx.Limits(max_connections=_THREADS * 2),
            trust_env=False,
        )
        self._threads = [
            threading.Thread(target=self._call, name=f"caller-{number}", daemon=True)
            for number in range(_THREADS)
        ]

    def start(self) -> None:
        """Start sending."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    @property
    def done(self) -> bool:
        """Whether every caller has its 202."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def accepted(self) -> int:
        """Number of callers that have their 202."""
        return sum(1 for intake in self.intakes if intake.ids)

    def close(self) -> None:
        """Cancel everything that has not been sent."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_PATIENCE * 2)
        self._http.close()

    def _call(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                job = next(self._next, None)
            if job is None:
                return
            self._stop.wait(max(0.0, self._began + job.at - time.monotonic()))
            self._send(job)

    def _send(self, job: PlannedJob) -> None:
        waits = itertools.chain(_WAITS, itertools.repeat(_WAITS[-1]))
        first_timeout = itertools.chain(
            [job.first_timeout or _PATIENCE], itertools.repeat(_PATIENCE)
        )
        while not self._stop.is_set() and not self._post(job, next(first_timeout)):
            self._stop.wait(next(waits))
        if job.again and not self._stop.is_set():
            self._post(job, _PATIENCE)
        if job.cancel_after is not None:
            self._stop.wait(job.cancel_after)
            waits = itertools.chain(_WAITS, itertools.repeat(_WAITS[-1]))
            while not self._stop.is_set() and not self._cancel(job):
                self._stop.wait(next(waits))

    def _cancel(self, job: PlannedJob) -> bool:
        """Ask once to cancel the job; return whether that was answered."""
        intake = self.intakes[job.number]
        path = f"/v1/jobs/{intake.ids[0]}"
        ways = (("POST", f"{path}/cancel"), ("DELETE", path))
        try:
            answer = self._http.request(*ways[job.number % len(ways)])
            ended_as = str(answer.json()["status"])
        except httpx.HTTPError as error:
            intake.cancels[type(error).__name__] += 1
            return False
        intake.cancels[str(answer.status_code)] += 1
        if answer.status_code == httpx.codes.OK:
            intake.canceled_as = ended_as
        return not answer.is_server_error

    def _post(self, job: PlannedJob, first_timeout: float) -> bool:
        intake = self.intakes[job.number]
        try:
            answer = self._http.post(
                "/v1/jobs",
                json=self._body(job),
                headers={"idempotency-key": key_of(self._plan, job.number)},
                timeout=first_timeout,
            )
            job_id = str(answer.json()["id"]) if answer.status_code == httpx.codes.ACCEPTED else ""
        except httpx.HTTPError as error:
            intake.answers[type(error).__name__] += 1
            return False
        intake.answers[str(answer.status_code)] += 1
        if job_id:
            intake.ids.append(job_id)
            intake.accepted_at = intake.accepted_at or time.time()
        return bool(job_id)

    def _body(self, job: PlannedJob) -> dict[str, object]:
        return order(
            kind=job.kind,
            prompt=job.prompt,
            size=job.size,
            image=job.image,
            callback_url=f"{self._callback_url}/{job.number}",
            number=job.number,
        )

    def __iter__(self) -> Iterator[Intake]:
        return iter(self.intakes)


def key_of(plan: Plan, number: int) -> str:
    """Return the idempotency key of a job."""
    return f"chaos-{plan.seed}-{number}"
