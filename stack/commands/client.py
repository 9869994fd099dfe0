"""The demo's HTTP client, for the service and the sandbox's ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import httpx

TERMINAL = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class Clip:
    """What a video has beyond an image; the tracks are in the file's order."""

    seconds: float
    frames_per_second: float
    tracks: tuple[str, ...]


@dataclass(frozen=True)
class StoredFile:
    """A stored image or video; `sha256` is hexadecimal, the sides are pixels."""

    bucket: str
    key: str
    uri: str
    bytes: int
    sha256: str
    width: int
    height: int
    clip: Clip | None = None


@dataclass(frozen=True)
class Job:
    """The parts of the service's job view that the demo needs."""

    id: str
    status: str
    timeline: tuple[tuple[str, datetime], ...]
    sample: StoredFile | None
    error: str | None
    callback_state: str | None
    callback_attempts: int


@dataclass(frozen=True)
class LedgerTask:
    """A task in the sandbox's ledger; `sha256` is hexadecimal, the sides are pixels."""

    id: str
    sha256: str
    width: int
    height: int


class RelayClient:
    """Client of one service, as one caller.

    Args:
        service_url: The service.
        api_key: The caller's key.
    """

    def __init__(self, service_url: str, api_key: str) -> None:
        self._http = httpx.Client(
            base_url=service_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=10,
            trust_env=False,
        )

    def create_job(self, request: Mapping[str, object]) -> Job:
        """Create a job.

        Raises:
            httpx.HTTPError: The service did not accept the job.
        """
        return _job(self._answer(self._http.post("/v1/jobs", json=request)))

    def job(self, job_id: str) -> Job:
        """Read a job.

        Raises:
            httpx.HTTPError: There is no such job, or no service.
        """
        return _job(self._answer(self._http.get(f"/v1/jobs/{job_id}")))

    def callback_secret(self) -> str:
        """Read the Standard Webhooks secret of this caller's callbacks.

        Raises:
            httpx.HTTPError: The service did not answer.
        """
        return str(self._answer(self._http.get("/v1/callback-secret"))["secret"])

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _answer(self, response: httpx.Response) -> Mapping[str, Any]:
        if response.is_error:
            # The body says which field is wrong and why; httpx's own message has only the status.
            raise httpx.HTTPStatusError(
                f"{response.request.method} {response.url.path} was answered with"
                f" {response.status_code}: {response.text}",
                request=response.request,
                response=response,
            )
        body: Mapping[str, Any] = response.json()
        return body


def ledger_tasks(sandbox_url: str) -> tuple[LedgerTask, ...]:
    """Return the tasks that the sandbox made: exactly one if its only job was paid once.

    A task without a webhook does not name its job.

    Raises:
        httpx.HTTPError: The sandbox did not answer.
    """
    response = httpx.get(f"{sandbox_url}/sandbox/ledger", timeout=10, trust_env=False)
    response.raise_for_status()
    return tuple(
        LedgerTask(task["id"], task["sha256"], task["width"], task["height"])
        for task in response.json()["tasks"]
    )


def _job(body: Mapping[str, Any]) -> Job:
    files, error, callback = body["artifacts"], body["error"], body["callback"] or {}
    return Job(
        id=body["id"],
        status=body["status"],
        timeline=tuple(
            (step["status"], datetime.fromisoformat(step["at"])) for step in body["timeline"]
        ),
        sample=_stored(files[0]) if files else None,
        error=error and f"{error['code']}: {error['message']}",
        callback_state=callback.get("state"),
        callback_attempts=callback.get("attempts", 0),
    )


def _stored(file: Mapping[str, Any]) -> StoredFile:
    names = ("bucket", "key", "uri", "bytes", "sha256", "width", "height")
    clip = None
    if "seconds" in file:
        clip = Clip(file["seconds"], file["frames_per_second"], tuple(file["tracks"]))
    return StoredFile(**{name: file[name] for name in names}, clip=clip)
