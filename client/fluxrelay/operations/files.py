"""The files of a result: their bytes, links to them, and copies on disk."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urljoin

from fluxrelay.errors import (
    CorruptFileError,
    FluxRelayError,
    ProblemError,
    UnexpectedAnswerError,
    UnreachableError,
)
from fluxrelay.operations.base import Operations
from fluxrelay.operations.values import JobOrId, given, id_of, query
from fluxrelay.protocol.effects import Close, Flow, Sleep, read, work
from fluxrelay.protocol.messages import Answer, Request, path
from fluxrelay.types.jobs import Job


class FileOperations(Operations):
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
        expires: int | None = None,
        download: str | None = None,
    ) -> Flow[str]:
        """Return a link to a file of a job's result, for somebody who has no key.

        Args:
            job: the job, or its id.
            role: which file; `sample` is the image or video.
            expires: seconds for which the link is valid, 7 days at most; an hour by default.
            download: name under which a browser saves the file, instead of showing it.

        Raises:
            ConflictError: The job has not succeeded.
            FluxRelayError: The deployment makes no links.
        """
        params = query(given(expires=expires, download=download))
        answer = yield from self._session.open(_request(id_of(job), role, params))
        yield Close(answer)
        if not answer.is_redirect:
            raise FluxRelayError("this deployment makes no links; use `save` or `artifact`")
        return urljoin(self._session.url, answer.headers["location"])

    def save(
        self, job: JobOrId, to: str | os.PathLike[str] = ".", *, role: str = "sample"
    ) -> Flow[Path]:
        """Save a file of a job's result and return its path.

        The file appears once it is complete and its SHA-256 is right.

        Args:
            job: the job, or its id.
            to: path of the file, or an existing folder, in which it is named as in the bucket.
            role: which file; `sample` is the image or video.

        Raises:
            ConflictError: The job has not succeeded.
            CorruptFileError: The file is not the one that was stored.
            OSError: The file cannot be written.
        """
        known = job if isinstance(job, Job) and job.ended else (yield from self.get(job))
        stored = known.artifact(role)
        target = Path(os.fspath(to))
        if stored and target.is_dir():
            target /= PurePosixPath(stored.key).name
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        # The service says best what is wrong with a job that has no such file.
        request = _request(known.id, role)
        file: IO[bytes] = yield from work(lambda: part.open("xb+"))
        try:
            with file:
                digest = yield from self._download(request, file)
            if stored and digest != stored.sha256:
                raise CorruptFileError(f"{role} of job {known.id} has the SHA-256 {digest}")
            yield from work(lambda: part.replace(target))
        finally:
            part.unlink(missing_ok=True)
        return target

    def _download(self, request: Request, file: IO[bytes], *, in_memory: bool = False) -> Flow[str]:
        """Write a file's bytes, again from the start after a failure; return their SHA-256."""
        failures = 0
        while True:
            try:
                answer = yield from self._follow(request)
                return (yield from _copy(answer, file, in_memory=in_memory))
            except (UnreachableError, ProblemError) as error:
                failures += 1
                wait = self._session.retries.wait(request, error, failures)
                if wait is None:
                    raise
            yield Sleep(wait)

    def _follow(self, request: Request) -> Flow[Answer]:
        """Open a file, wherever the service says it lies."""
        answer = yield from self._session.attempt(request, stream=True)
        if not answer.is_redirect:
            return answer
        yield Close(answer)
        link = urljoin(self._session.url, answer.headers["location"])
        # Whoever serves the link needs no key of ours, so it gets none.
        answer = yield from self._session.attempt(
            Request("GET", link, headers={"accept": "*/*"}), stream=True, foreign=True
        )
        if answer.is_redirect:
            yield Close(answer)
            raise UnexpectedAnswerError(answer.status, b"a link that leads to another link")
        return answer


def _request(job_id: str, role: str, params: tuple[tuple[str, str], ...] = ()) -> Request:
    place = ("image",) if role == "sample" else ("artifacts", role)
    return Request("GET", path("jobs", job_id, *place), params, {"accept": "*/*"})


def _copy(answer: Answer, file: IO[bytes], *, in_memory: bool) -> Flow[str]:
    digest = hashlib.sha256()
    file.seek(0)
    file.truncate()
    while chunk := (yield from read(answer)):
        digest.update(chunk)
        if in_memory:
            file.write(chunk)
        else:
            yield from work(partial(file.write, chunk))
    yield Close(answer)
    return digest.hexdigest()
