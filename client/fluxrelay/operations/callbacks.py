"""Callbacks: verified, listed, sent again, tried out; and dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from fluxrelay.errors import CallbackVerificationError
from fluxrelay.operations.base import PATIENCE_WITH_MANY, Operations
from fluxrelay.operations.values import BatchOrId, JobOrId, Time, given, id_of, query, time_of
from fluxrelay.operations.verification import verify_callback
from fluxrelay.protocol.effects import Flow, now
from fluxrelay.protocol.messages import Request, path
from fluxrelay.protocol.session import Session
from fluxrelay.types.callbacks import (
    Attempt,
    Callback,
    CallbackReplay,
    CallbackSecret,
    CallbackTest,
    DeadLetter,
)
from fluxrelay.types.jobs import Job
from fluxrelay.types.reference import Page

#: The secret is not fetched more often, in seconds, however many forgeries come.
_SECRET_AGE = 60.0
#: A test's callback is answered within so many seconds.
_TEST_PATIENCE = 20.0


class CallbackOperations(Operations):
    """What can be done with callbacks."""

    def __init__(self, session: Session, secret: str | None = None) -> None:
        super().__init__(session)
        self._given = secret
        self._known: CallbackSecret | None = None
        self._fetched_at = 0.0

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Flow[Callback]:
        """Return a callback whose signature is right.

        The secret is fetched once and kept; again only if a signature does not match it, for then
        the operator may have rotated it.

        Args:
            body: the request's body as it came, not parsed.
            headers: the request's headers; their names in any case.

        Raises:
            CallbackVerificationError: It is not from FluxRelay, or older than five minutes.
        """
        if self._given is not None:
            return verify_callback(body, headers, self._given)
        fetched = self._known is None
        known = self._known or (yield from self._fetch())
        try:
            return verify_callback(body, headers, known.secret, *known.previous)
        except CallbackVerificationError:
            if fetched or (yield from now()) - self._fetched_at < _SECRET_AGE:
                raise
        known = yield from self._fetch()
        return verify_callback(body, headers, known.secret, *known.previous)

    def secret(self) -> Flow[CallbackSecret]:
        """Return the secret that signs your callbacks."""
        return (yield from self._fetch())

    def replay(self, since: Time, *, until: Time | None = None) -> Flow[int]:
        """Send again every callback that was given up since a time; return how many.

        The service takes a thousand of them at a time, so this may be several requests.

        Args:
            since: the earliest time at which they were given up.
            until: the time before which they were; without it, until now.
        """
        body = given(since=time_of("since", since), until=time_of("until", until))
        count = 0
        while True:
            answer = yield from self._post(
                "callbacks", "replay", body=body, patience=PATIENCE_WITH_MANY
            )
            done = CallbackReplay.decode(answer.json())
            count += done.replayed
            if not done.more:
                return count
            # What is given up once more meanwhile is left alone: else this might never end.
            at = answer.date() or datetime.now(timezone.utc)
            body.setdefault("until", (at + timedelta(seconds=1)).isoformat())

    def test(self, url: str, *, type: str | None = None) -> Flow[CallbackTest]:  # noqa: A002 - the service's name of it
        """Send a signed sample callback to a URL and return what came of it.

        Args:
            url: where to send it.
            type: the type to send a sample of, such as `job.succeeded`; `callback.test` by default.
        """
        answer = yield from self._post(
            "callbacks",
            "test",
            body=given(url=url, type=type),
            repeatable=False,
            patience=_TEST_PATIENCE,
        )
        return CallbackTest.decode(answer.json())

    def resend(self, job: JobOrId) -> Flow[Job]:
        """Send the callback of an ended job again, and return the job.

        Raises:
            ConflictError: The job has not ended, or has no callback.
        """
        return Job.decode((yield from self._post("jobs", id_of(job), "callback")).json())

    def list(
        self,
        *,
        job: JobOrId | None = None,
        batch: BatchOrId | None = None,
        outcome: str | None = None,
        type: str | None = None,  # noqa: A002 - the service's name of it
        since: Time | None = None,
        until: Time | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Flow[Page[Attempt]]:
        """Return attempts to deliver callbacks, newest first: one page. `iterate` takes them all.

        Args:
            job: only attempts for that job.
            batch: only attempts for the callback of that batch itself.
            outcome: `delivered` or `failed`.
            type: the callback's type, such as `job.failed`.
            since: the earliest time.
            until: the time before which they were made.
            limit: attempts per page, 1 to 100.
            cursor: `next_cursor` of the page before.
        """
        params = query(
            given(
                job=None if job is None else id_of(job),
                batch=None if batch is None else id_of(batch),
                outcome=outcome,
                type=type,
                since=time_of("since", since),
                until=time_of("until", until),
                limit=limit,
                cursor=cursor,
            )
        )
        return (yield from self._page(Attempt, "callbacks", name="attempts", params=params))

    def _fetch(self) -> Flow[CallbackSecret]:
        answer = yield from self._get("callback-secret")
        self._known = CallbackSecret.decode(answer.json())
        self._fetched_at = yield from now()
        return self._known


class DeadLetterOperations(Operations):
    """What can be done with dead letters."""

    def dismiss(self, kind: str, about: JobOrId | BatchOrId) -> Flow[None]:
        """Take a dead letter off the list.

        Args:
            kind: `job`, `callback` or `batch`.
            about: the job, or the batch where `kind` is `batch`.
        """
        request = Request("DELETE", path("dead-letters", kind, id_of(about)))
        yield from self._session.call(request)

    def list(
        self,
        *,
        kind: str | None = None,
        code: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Flow[Page[DeadLetter]]:
        """Return dead letters, oldest first: one page. `iterate` takes them all.

        Args:
            kind: `job`, `callback` (of a job), or `batch` (the callback of a batch).
            code: the failure code of the job.
            limit: letters per page, 1 to 100.
            cursor: `next_cursor` of the page before.
        """
        params = query(given(kind=kind, code=code, limit=limit, cursor=cursor))
        return (
            yield from self._page(DeadLetter, "dead-letters", name="dead_letters", params=params)
        )
