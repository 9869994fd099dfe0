"""Plays faults of the provider on real jobs, many at a time, and keeps what came of each."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from stack.options import StackOptions
from stack.receiver import CallbackReceiver
from stack.stack import Stack
from tests.conftest import Eventually
from tests.e2e.conftest import Customer

#: Seconds that any set of jobs gets to end, on a machine that has other things to do.
PATIENCE: Final = 60.0
SMALL: Final[Mapping[str, object]] = {"width": 256, "height": 256}
IMAGE: Final = "flux-pro-1.1"
VIDEO: Final = "flux-3-video"
#: The least that is asked of each.
_LEAST: Final[Mapping[str, Mapping[str, object]]] = {
    IMAGE: SMALL,
    VIDEO: {"mode": "t2v", "duration": 5},
}


@dataclass(frozen=True)
class Scene:
    """Faults of one job (`{fault: parameters}`), and how the job is asked for."""

    faults: Mapping[str, Mapping[str, object]]
    input: Mapping[str, object] = field(default_factory=dict)
    count: int = 1
    model: str = IMAGE


@dataclass(frozen=True)
class Played:
    """What came of the scenes; the ledger is read anew by each question."""

    customer: Customer
    jobs: Mapping[str, list[dict[str, Any]]]
    #: In the prompts of this play alone: others on the same stack may have scenes of the same name.
    mark: str = ""

    def job(self, scene: str) -> dict[str, Any]:
        """Return the view of a scene's one job."""
        (job,) = self.jobs[scene]
        return job

    def tasks(self, scene: str) -> list[dict[str, Any]]:
        """Return what the provider made for a scene's jobs.

        A task that was asked for without a webhook names its scene alone, in its prompt.
        """
        ids = {job["id"] for job in self.jobs[scene]}

        def is_of_scene(task: Mapping[str, Any]) -> bool:
            if task["webhook_url"]:
                return owner(task) in ids
            return f"[{scene}] {self.mark}" in str(task["request"].get("prompt"))

        return [task for task in self.customer.ledger()["tasks"] if is_of_scene(task)]

    def made_once(self, scene: str) -> dict[str, Any]:
        """Assert a good end: one task, its bytes in the bucket, its caller told; return the task.

        With several jobs in the scene, of each; then the first one's task is returned.
        """
        jobs, tasks = self.jobs[scene], self.tasks(scene)
        self.customer.judge(jobs)
        assert len(tasks) == len(jobs)
        assert [job["provider"]["resubmits"] for job in jobs] == [0] * len(jobs)
        return tasks[0]

    def made_again(self, scene: str, tasks: int) -> dict[str, Any]:
        """Assert a good end after one counted resubmit and so many tasks; return the job."""
        job = self.job(scene)
        self.customer.eventually(lambda: len(self.tasks(scene)) >= tasks, PATIENCE)
        self.customer.eventually(
            lambda: all(task["finished_at"] for task in self.tasks(scene)), PATIENCE
        )
        self.customer.judge([job])
        assert job["provider"]["resubmits"] == 1
        assert len(self.tasks(scene)) == tasks
        return job

    def failed(self, scene: str, code: str, left: tuple[str, ...] = ()) -> dict[str, Any]:
        """Assert a bad end: nothing in the bucket, the caller told once; return the error.

        Args:
            scene: Which.
            code: The error's.
            left: Endings of the objects that are in the bucket all the same.
        """
        job = self.job(scene)
        assert (job["status"], job["image"], job["artifacts"]) == ("failed", None, []), job
        self.customer.eventually(lambda: bool(self.told(scene)), PATIENCE)
        assert [body["data"]["status"] for body in self.told(scene)] == ["failed"]
        bucket = self.customer.stack.bucket
        stored = self.customer.stack.s3().list_objects_v2(Bucket=bucket).get("Contents", [])
        keys = (item["Key"] for item in stored)
        endings = [key.partition(job["id"])[2] for key in keys if job["id"] in key]
        assert endings == list(left)
        error: dict[str, Any] = job["error"]
        assert error["code"] == code, error
        assert job["provider"]["resubmits"] == 0
        return error

    def told(self, scene: str) -> list[Any]:
        """Return the verified callbacks of a scene's jobs."""
        bodies: list[Any] = [call.payload for call in self.customer.receiver.callbacks]
        assert all(bodies), "a callback's signature was not the right one"
        ids = {job["id"] for job in self.jobs[scene]}
        return [body for body in bodies if body["data"]["id"] in ids]


def owner(task: Mapping[str, Any]) -> str:
    """Return the id of the job that a task was made for."""
    return str(task["webhook_url"] or "").rpartition("/")[2]


def order(prompt: str, /, model: str = IMAGE, **more: object) -> dict[str, Any]:
    """Return the body of a job for a small picture, or for a short video."""
    return {"model": model, "input": {"prompt": prompt, **_LEAST[model], **more}}


def play(customer: Customer, scenes: Mapping[str, Scene]) -> Played:
    """Put all scenes' faults in force, each for its own jobs, and wait for every job's end."""
    mark = uuid.uuid4().hex
    faults: dict[str, list[dict[str, object]]] = {}
    for name, scene in scenes.items():
        for fault, parameters in scene.faults.items():
            faults.setdefault(fault, []).append({"match": f"[{name}]", **parameters})
    set_faults(customer, faults)
    cast = [(name, scene) for name, scene in scenes.items() for _ in range(scene.count)]

    def body(number: int) -> dict[str, Any]:
        name, scene = cast[number]
        return order(f"[{name}] {mark} a harbour", scene.model, **scene.input)

    ids = customer.send(len(cast), body)
    ended = customer.wait_for_end(ids, PATIENCE)
    set_faults(customer, {})
    jobs: dict[str, list[dict[str, Any]]] = {}
    for (name, _), job in zip(cast, ended, strict=True):
        jobs.setdefault(name, []).append(job)
    return Played(customer, jobs, mark)


def set_faults(customer: Customer, faults: Mapping[str, object]) -> None:
    """Put faults in force in place of all others."""
    url = f"{customer.stack.sandbox_url}/sandbox/faults"
    answer = httpx.post(url, json=faults, trust_env=False, timeout=60)
    assert answer.is_success, answer.json()["detail"]


def set_credits(customer: Customer, left: float) -> None:
    """Let every account of the sandbox have so many credits left."""
    url = f"{customer.stack.sandbox_url}/sandbox/credits"
    httpx.post(url, json={"credits": left}, trust_env=False, timeout=60).raise_for_status()


def account_states(customer: Customer) -> dict[str, dict[str, Any]]:
    """Return what `/readyz` shows of the accounts."""
    answer = customer.http.get("/readyz")
    states: dict[str, dict[str, Any]] = answer.json()["accounts"]
    return states


@contextmanager
def opened(options: StackOptions, eventually: Eventually) -> Iterator[Customer]:
    """Run a stack and return its customer."""
    with Stack(options) as stack, CallbackReceiver() as receiver:
        headers = {"authorization": f"Bearer {stack.api_key}"}
        with httpx.Client(
            base_url=stack.service_url, headers=headers, timeout=60, trust_env=False
        ) as http:
            receiver.trust(http.get("/v1/callback-secret").json()["secret"])
            yield Customer(stack, receiver, eventually, http)
