"""Files that the service leads to: links, copies on disk, and their bytes as they come."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar
from urllib.parse import urljoin

from fluxrelay.errors import (
    CorruptFileError,
    FluxRelayError,
    ProblemError,
    UnexpectedAnswerError,
    UnreachableError,
)
from fluxrelay.operations.base import Operations
from fluxrelay.protocol.effects import Close, Emit, Flow, Sleep, read, work
from fluxrelay.protocol.messages import Answer, Request

T = TypeVar("T")


class Downloads(Operations):
    """What can be done with a file that the service leads to, or sends."""

    def _link(self, request: Request) -> Flow[str]:
        """Return the link that a request leads to.

        Raises:
            FluxRelayError: The deployment makes no links.
        """
        answer = yield from self._session.open(request)
        yield Close(answer)
        if not answer.is_redirect:
            raise FluxRelayError("this deployment makes no links; save the file instead")
        return urljoin(self._session.url, answer.headers["location"])

    def _save(
        self,
        request: Request,
        to: str | os.PathLike[str],
        *,
        name: str | None,
        sha256: str | None,
    ) -> Flow[Path]:
        """Save a file under its path, or under the last part of `name` in a folder.

        Raises:
            CorruptFileError: The file has another SHA-256.
            OSError: The file cannot be written.
        """
        text = os.fspath(to)
        target = Path(text)
        if name and (text.endswith(("/", os.sep)) or target.is_dir()):
            target /= PurePosixPath(name).name
        if target.exists() and not (target.is_file() or target.is_dir()):
            # It would be replaced by a file, which root may do to a device.
            raise FileExistsError(errno.EEXIST, "It is there already, and is no file", str(target))
        yield from work(lambda: target.parent.mkdir(parents=True, exist_ok=True))
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        file: IO[bytes] = yield from work(lambda: part.open("xb+"))
        try:
            with file:
                digest = yield from self._download(request, file)
            if sha256 and digest != sha256:
                raise CorruptFileError(f"{target.name} has the SHA-256 {digest}, not {sha256}")
            yield from work(lambda: part.replace(target))
        finally:
            part.unlink(missing_ok=True)
        return target

    def _download(self, request: Request, file: IO[bytes], *, in_memory: bool = False) -> Flow[str]:
        """Write a file's bytes, again from the start after a failure; return their SHA-256."""
        return (
            yield from self._again(request, lambda answer: _copy(answer, file, in_memory=in_memory))
        )

    def _lines(self, request: Request, decode: Callable[[bytes], object]) -> Flow[None]:
        """Emit what is made of each line of a file; after a failure, go on with the next line."""
        emitted = 0

        def emit(answer: Answer) -> Flow[None]:
            nonlocal emitted
            number, rest = 0, b""
            while piece := (yield from read(answer)):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    number += 1
                    if number > emitted:
                        emitted = number
                        yield Emit(decode(line))
            yield Close(answer)

        yield from self._again(request, emit)

    def _again(self, request: Request, use: Callable[[Answer], Flow[T]]) -> Flow[T]:
        """Open a file and use it; after a failure, do both again."""
        failures = 0
        while True:
            try:
                return (yield from use((yield from self._follow(request))))
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
