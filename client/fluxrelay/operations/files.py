"""The files of a result: their bytes, links to them, and copies on disk."""

from __future__ import annotations

import io
import os
from pathlib import Path

from fluxrelay.operations.downloads import Downloads
from fluxrelay.operations.values import JobOrId, Life, given, id_of, life_of, query
from fluxrelay.protocol.effects import Flow
from fluxrelay.protocol.messages import Request, path
from fluxrelay.types.jobs import Job


class FileOperations(Downloads):
    """What can be done with the files of a job's result."""

    def get(self, job: JobOrId, *, wait: float | None = None) -> Flow[Job]:
        """Return a job as it stands, or once it has ended, if it does so within `wait` seconds."""
        return Job.decode((yield from self._look("jobs", id_of(job), wait=wait)).json())

    def image(self, job: JobOrId) -> Flow[bytes]:
        """Return the bytes of a job's image (or video).

        Raises:
            ConflictError: The job has not succeeded.
        """
        return (yield from self.artifact(job, "sample"))

    def artifact(self, job: JobOrId, role: str) -> Flow[bytes]:
        """Return the bytes of a file of a job's result.

        Raises:
            ConflictError: The job has not succeeded.
            NotFoundError: Its result has no file of that role.
        """
        content = io.BytesIO()
        yield from self._download(_request(id_of(job), role), content, in_memory=True)
        return content.getvalue()

    def link(
        self,
        job: JobOrId,
        role: str = "sample",
        *,
        expires: Life | None = None,
        download: str | None = None,
    ) -> Flow[str]:
        """Return a link to a file of a job's result, for somebody who has no key.

        Args:
            job: the job, or its id.
            role: which file; `sample` is the image or video.
            expires: how long the link is valid, a timedelta or whole seconds: 7 days at most; an
                hour by default.
            download: name under which a browser saves the file, instead of showing it.

        Raises:
            ConflictError: The job has not succeeded.
            FluxRelayError: The deployment makes no links.
        """
        params = query(given(expires=life_of(expires), download=download))
        return (yield from self._link(_request(id_of(job), role, params)))

    def save(
        self, job: JobOrId, to: str | os.PathLike[str] = ".", *, role: str = "sample"
    ) -> Flow[Path]:
        """Save a file of a job's result and return its path.

        The file appears once it is complete and its SHA-256 is right.

        Args:
            job: the job, or its id.
            to: path of the file, or a folder, in which it is named as in the bucket: one that is
                there, or that ends with a slash. Folders are made as needed.
            role: which file; `sample` is the image or video.

        Raises:
            ConflictError: The job has not succeeded.
            CorruptFileError: The file is not the one that was stored.
            OSError: The file cannot be written.
        """
        known = job if isinstance(job, Job) and job.ended else (yield from self.get(job))
        stored = known.artifact(role)
        # The service says best what is wrong with a job that has no such file.
        return (
            yield from self._save(
                _request(known.id, role),
                to,
                name=stored.key if stored else None,
                sha256=stored.sha256 if stored else None,
            )
        )


def _request(job_id: str, role: str, params: tuple[tuple[str, str], ...] = ()) -> Request:
    place = ("image",) if role == "sample" else ("artifacts", role)
    return Request("GET", path("jobs", job_id, *place), params, {"accept": "*/*"})
