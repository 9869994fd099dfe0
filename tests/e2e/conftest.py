"""A stack of its own for tests that load it, and what they ask of it."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx
import pytest

from stack.options import StackOptions
from stack.receiver import CallbackReceiver
from stack.stack import Stack
from tests.conftest import Eventually
from tests.timing import FAST, FAST_SANDBOX

Order = Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class Customer:
    """Sends jobs to a stack and judges what came of them, by others' books."""

    stack: Stack
    receiver: CallbackReceiver
    eventually: Eventually
    http: httpx.Client

    def send(self, count: int, order: Order, *, retries: int = 5) -> list[str]:
        """POST `count` jobs, eight at a time, and return their ids.

        A refused or unanswered one is sent again up to `retries` times, with the same key.
        """
        batch = uuid.uuid4().hex

        def post(number: int) -> str:
            body = {"callback": {"url": self.receiver.url}, **order(number)}
            headers = {"Idempotency-Key": f"{batch}-{number}"}
            seen: list[str] = []
            for _ in range(retries + 1):
                try:
                    answer = self.http.post("/v1/jobs", json=body, headers=headers)
                except httpx.HTTPError as error:
                    seen.append(repr(error))
                    continue
                if answer.status_code == httpx.codes.ACCEPTED:
                    return str(answer.json()["id"])
                seen.append(f"{answer.status_code} {answer.text}")
            raise AssertionError(f"job {number} was not accepted: {seen}")

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(post, range(count)))

    def job(self, job_id: str) -> dict[str, Any]:
        """Read one job; retried over a short outage of the service."""
        found: dict[str, Any] = {}

        def answered() -> bool:
            try:
                answer = self.http.get(f"/v1/jobs/{job_id}")
            except httpx.HTTPError:
                return False
            found.update(answer.json() if answer.is_success else {})
            return answer.is_success

        self.eventually(answered, 20)
        return found

    def statuses(self, job_ids: list[str]) -> dict[str, list[str]]:
        """Return the jobs by status."""
        by_status: dict[str, list[str]] = {}
        for job_id in job_ids:
            by_status.setdefault(self.job(job_id)["status"], []).append(job_id)
        return by_status

    def wait_for_end(self, job_ids: list[str], seconds: float) -> list[dict[str, Any]]:
        """Wait until every job has ended and its callback is no longer owed; return them."""
        open_jobs = set(job_ids)

        def all_ended() -> bool:
            for job_id in list(open_jobs):
                job = self.job(job_id)
                told = (job["callback"] or {}).get("state") != "pending"
                if job["ended_at"] and told:
                    open_jobs.discard(job_id)
                else:
                    return False
            return True

        self.eventually(all_ended, seconds)
        return [self.job(job_id) for job_id in job_ids]

    def ledger(self) -> dict[str, Any]:
        """Return the provider's own books."""
        answer = self.http.get(f"{self.stack.sandbox_url}/sandbox/ledger", timeout=60)
        books: dict[str, Any] = answer.json()
        return books

    def judge(self, jobs: list[dict[str, Any]]) -> None:
        """Assert of each job: made once, the ledger's bytes in S3, its caller told and signed."""
        tasks: dict[str, list[dict[str, Any]]] = {}
        for task in self.ledger()["tasks"]:
            # A task that was asked for without a webhook is known by its own id alone.
            owner = (task["webhook_url"] or "").rpartition("/")[2] or task["id"]
            tasks.setdefault(owner, []).append(task)
        told = self._told()
        s3 = self.stack.s3()
        for job in jobs:
            assert job["status"] == "succeeded", job
            made = tasks.get(job["id"]) or tasks[job["provider"]["id"]]
            # A submit in doubt that was repeated may, or may not, have been made the first time.
            assert 1 <= len(made) <= 1 + job["provider"]["resubmits"], job
            files = {(a["role"], a["sha256"]) for task in made for a in task["artifacts"]}
            self._judge_files(s3, job, files)
            assert told[job["id"]] == {"succeeded"}, job

    def _told(self) -> dict[str, set[str]]:
        """Return each job's statuses as its verified callbacks tell them."""
        told: dict[str, set[str]] = {}
        for callback in self.receiver.callbacks:
            body = callback.payload  # None where its signature was not the right one
            assert isinstance(body, dict)
            told.setdefault(body["data"]["id"], set()).add(body["data"]["status"])
        return told

    def _judge_files(self, s3: Any, job: dict[str, Any], made: set[tuple[str, str]]) -> None:
        """Assert that every file of a result lies in S3, with the bytes that were made."""
        assert {file["role"] for file in job["artifacts"]} == {role for role, _ in made}, job
        for file in job["artifacts"]:
            stored = s3.get_object(Bucket=file["bucket"], Key=file["key"], ChecksumMode="ENABLED")
            body = stored["Body"].read()
            digest = sha256(body).hexdigest()
            assert (file["role"], digest) in made
            assert (digest, len(body)) == (file["sha256"], file["bytes"])
            assert stored["Metadata"]["job-id"] == job["id"]
        sample = {name: value for name, value in job["artifacts"][0].items() if name != "role"}
        is_image = sample["content_type"].startswith("image/")
        assert job["image"] == (sample if is_image else None)


@pytest.fixture
def customer(
    loaded: Stack, receiver: CallbackReceiver, eventually: Eventually
) -> Iterator[Customer]:
    """Return a customer of the module's stack."""
    headers = {"authorization": f"Bearer {loaded.api_key}"}
    with httpx.Client(
        base_url=loaded.service_url, headers=headers, timeout=60, trust_env=False
    ) as http:
        receiver.trust(http.get("/v1/callback-secret").json()["secret"])
        yield Customer(loaded, receiver, eventually, http)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Stack]:
    """Run the whole product, quick, for one module."""
    with Stack(StackOptions(relay_variables=FAST, sandbox_variables=FAST_SANDBOX)) as stack:
        yield stack
