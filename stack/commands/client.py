"""The demo's HTTP client, for the service and the sandbox's ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import httpx

TERMINAL = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class StoredImage:
    """A stored image; `sha256` is hexadecimal, the sides are pixels."""

    bucket: str
    key: str
    uri: str
    bytes: int
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class Job:
    """The parts of the service's job view that the demo needs."""

    id: str
    status: str
    timeline: tuple[tuple[str, datetime], ...]
    image: StoredImage | None
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


def ledger_tasks(sandbox_url: str, job_id: str) -> tuple[LedgerTask, ...]:
    """Return the tasks that the sandbox made for a job: exactly one if the job was paid once.

    Raises:
        httpx.HTTPError: The sandbox did not answer.
    """
    response = httpx.get(f"{sandbox_url}/sandbox/ledger", timeout=10, trust_env=False)
    response.raise_for_status()
    return tuple(
        LedgerTask(task["id"], task["sha256"], task["width"], task["height"])
        for task in response.json()["tasks"]
        if (task["webhook_url"] or "").endswith(job_id)
    )


def _job(body: Mapping[str, Any]) -> Job:
    image, error, callback = body["image"], body["error"], body["callback"] or {}
    return Job(
        id=body["id"],
        status=body["status"],
        timeline=tuple(
            (step["status"], datetime.fromisoformat(step["at"])) for step in body["timeline"]
        ),
        image=image and StoredImage(**{name: image[name] for name in StoredImage.__annotations__}),
        error=error and f"{error['code']}: {error['message']}",
        callback_state=callback.get("state"),
        callback_attempts=callback.get("attempts", 0),
    )
