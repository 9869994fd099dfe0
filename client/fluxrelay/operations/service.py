"""What concerns the service as a whole: its models, all events, and any request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fluxrelay.operations.base import Operations, idempotency, items
from fluxrelay.operations.streams import event_stream
from fluxrelay.operations.values import BatchOrId, given, id_of, query, several
from fluxrelay.protocol.body import Body, File, file_body, json_body
from fluxrelay.protocol.effects import Flow, Stream
from fluxrelay.protocol.messages import Answer, Request
from fluxrelay.protocol.messages import path as url_path
from fluxrelay.types.reference import Event, ModelInfo

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


class ModelOperations(Operations):
    """What can be asked of models."""

    def list(self) -> Flow[tuple[ModelInfo, ...]]:
        """Return the models that the deployment offers, with their parameters."""
        raw = (yield from self._get("models")).mapping()
        return items(raw, "models", ModelInfo.decode)


class ServiceOperations(Operations):
    """What concerns the service as a whole."""

    def events(
        self,
        *,
        last_event_id: str | None = None,
        status: str | Iterable[str] | None = None,
        batch: BatchOrId | None = None,
    ) -> Stream[Event]:
        """Yield events of all your jobs as they happen, without an end.

        A broken connection is made anew, and goes on after the last event; if that is more than an
        hour ago, an event of type `reset` says that some were missed.

        Args:
            last_event_id: id of the event after which to begin; without it, with what is new.
            status: only events of jobs that take these statuses.
            batch: only events of that batch.
        """
        params = query(given(status=several(status), batch=batch and id_of(batch)))
        place = url_path("events")
        return Stream(event_stream(self._session, place, params=params, last_id=last_event_id))

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: object = None,
        content: File | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        repeatable: bool | None = None,
    ) -> Flow[Answer]:
        """Send any request and return its answer, for what has no method of its own.

        Args:
            method: the HTTP method.
            path: a path of the service, such as `/readyz`.
            params: parameters of the query; a list repeats one.
            json: a value to send as JSON, in which files stand as in `jobs.create`.
            content: what to send as it is, with a `content-type` among the headers.
            headers: further headers.
            idempotency_key: key with which the request can be repeated safely.
            repeatable: whether it may be sent again when it is unknown whether it took effect; by
                default if the method is idempotent or there is an idempotency key.

        Raises:
            ProblemError: The service did not carry the request out.
        """
        named = {name.lower(): value for name, value in (headers or {}).items()}
        if idempotency_key is not None:
            named |= idempotency(idempotency_key)
        content_type = named.pop("content-type", "application/octet-stream")
        safe = method.upper() in _IDEMPOTENT or "idempotency-key" in named
        request = Request(
            method.upper(),
            path,
            query(params or {}),
            named,
            _content(json, content, content_type),
            safe if repeatable is None else repeatable,
        )
        return (yield from self._session.call(request))


def _content(value: object, content: File | None, content_type: str) -> Body | None:
    if content is not None:
        return file_body(content_type, content)
    return None if value is None else json_body(value)
