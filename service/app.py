"""Builds the application: routes, error handlers and shared state."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final, TypedDict

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from core.errors import StorageUnavailable, StoreUnavailable
from core.operations.account_status import AccountRegistry
from core.operations.dead_letters import DeadLetters
from core.operations.job_lists import JobLists
from core.redis.async_scripts import AsyncScripts
from core.redis.async_store import AsyncJobStore
from core.redis.durability import log_durability_in_background
from core.redis.events.event_log import EventLog
from core.redis.events.event_stream import EventStream
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from core.storage.presigned_urls import PresignedUrls
from service.access_log import AccessLog
from service.api import (
    cancel_many,
    cancellation,
    dead_letters,
    health,
    job_lists,
    jobs,
    metrics,
    reference,
    results,
    webhooks,
)
from service.api.batches import endpoints as batches
from service.api.callbacks import endpoints as callbacks
from service.api.callbacks import test_event
from service.api.watching import endpoints as events
from service.batches.intake import BatchIntake
from service.batches.lifecycle import BatchLifecycle
from service.batches.reading import BatchReader
from service.batches.staging import Staging
from service.body.request_body import BodyReader
from service.drop_in import endpoints, errors, samples
from service.files.stored_file import too_many_files
from service.http import problems
from service.http.direct_endpoint import Direct
from service.http.drain import Drain
from service.http.places import Places, fair_share
from service.http.problems import Problem
from service.http.proxy_hint import ProxyHint
from service.http.shares import Refusals, Shares
from service.intake.intake import Intake
from service.intake.job_request import file_fields
from service.intake.storage_threads import ThreadPool
from service.openapi.document import document
from service.server.limits import most_waiters, waiters_of_each
from service.state import State
from service.watch.hub import Hub
from service.watch.waiters import Waiters, WaitingLimits

#: Threads for blocking Redis calls (other than intake and webhooks) and for checks of large bodies.
THREADS: Final = 128
#: Threads that store input images. They wait for S3 and must not hold up jobs without images.
IMAGE_THREADS: Final = 32
#: Threads that read images from S3.
_SAMPLES: Final = 32
#: Images that are being sent at a time, each with a connection to S3.
SAMPLE_PLACES: Final = 128


def create_app(settings: Settings, drain: Drain | None = None) -> Starlette:
    """Return the application; it connects to nothing before it is started.

    Args:
        settings: The service's settings.
        drain: Set when the process starts to shut down.
    """
    app = Starlette(
        routes=[
            *_native_routes(),
            *_drop_in_routes(settings),
        ],
        middleware=[Middleware(AccessLog)],
        exception_handlers={
            Problem: problems.on_problem,
            ClientDisconnect: problems.on_disconnect,
            HTTPException: errors.on_http_exception,
            StoreUnavailable: problems.on_unavailable,
            StorageUnavailable: problems.on_unavailable,
        },
        lifespan=_lifespan(_state(settings, drain or Drain())),
    )
    # A trailing slash yields a problem document, not a redirect that drops the body.
    app.router.redirect_slashes = False
    return app


def _state(settings: Settings, drain: Drain) -> State:
    """Build the state shared by all requests."""
    store = JobStore(connect(settings), settings)
    objects = ObjectStore(
        settings.s3_bucket,
        connections=IMAGE_THREADS + SAMPLE_PLACES,
        timeout=settings.storage_timeout_seconds,
    )
    image_threads = ThreadPool(IMAGE_THREADS)
    async_store = AsyncJobStore(store, AsyncScripts(store.scripts, settings))
    intake_threads = ThreadPool(THREADS)
    bodies = BodyReader(
        limit=settings.max_body_bytes,
        at_a_time=settings.large_bodies,
        each=_each(settings.large_bodies, settings),
        files=file_fields(settings.models.values()),
    )
    intake = Intake(settings, store, async_store, objects, image_threads)
    return State(
        settings=settings,
        drain=drain,
        store=store,
        async_store=async_store,
        accounts=AccountRegistry(store, settings.accounts),
        objects=objects,
        openapi=document(settings),
        bodies=bodies,
        intake=intake,
        intake_threads=intake_threads,
        **_batches(intake, bodies, intake_threads),
        image_threads=image_threads,
        sample_threads=ThreadPool(_SAMPLES),
        sample_places=_file_places(settings),
        dead_letters=DeadLetters(store, objects, settings),
        job_lists=JobLists(store),
        presigned_urls=_presigned_urls(settings),
        proxy_hint=ProxyHint(),
        **_waiting(settings, drain, async_store),
    )


def _file_places(settings: Settings) -> Places:
    each = _each(SAMPLE_PLACES, settings)
    return Places(SAMPLE_PLACES, partial(too_many_files, SAMPLE_PLACES, each), each=each)


def _each(places: int, settings: Settings) -> int:
    """Return how many of some places one tenant may have."""
    return fair_share(places, len(set(settings.api_keys.values())))


def _presigned_urls(settings: Settings) -> PresignedUrls | None:
    if not settings.presign:
        return None
    return PresignedUrls(settings.s3_bucket, settings.s3_public_endpoint)


class _Batches(TypedDict):
    """The part of the state that is about batches."""

    batches: BatchIntake
    batch_lifecycle: BatchLifecycle


def _batches(intake: Intake, bodies: BodyReader, threads: ThreadPool) -> _Batches:
    settings, store, async_store = intake.settings, intake.store, intake.async_store
    reader = BatchReader(
        bodies,
        file_fields(settings.models.values()),
        most_bytes=settings.max_batch_bytes,
        most_items=settings.max_batch_items,
    )
    staging = Staging(store, async_store, intake.objects, intake.image_threads)
    return _Batches(
        batches=BatchIntake(reader, intake, staging, threads, settings.max_batch_bytes),
        batch_lifecycle=BatchLifecycle(settings, store, async_store, staging, threads),
    )


class _Waiting(TypedDict):
    """The part of the state that is about requests that wait."""

    refusals: Refusals
    callback_tests: Shares
    hub: Hub
    events: EventLog


def _waiting(settings: Settings, drain: Drain, store: AsyncJobStore) -> _Waiting:
    refusals = Refusals()
    limits = WaitingLimits(
        most_waiters(settings), waiters_of_each(settings), settings.max_event_streams
    )
    hub = Hub(EventStream(settings), Waiters(limits, refusals))
    drain.release_waiting = hub.release_all  # a shutdown ends their waiting
    return _Waiting(
        refusals=refusals,
        callback_tests=test_event.test_shares(refusals),
        hub=hub,
        events=EventLog(store.scripts),
    )


def _lifespan(state: State) -> Callable[[Starlette], AbstractAsyncContextManager[State]]:
    """Return the lifespan of the application."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        current_default_thread_limiter().total_tokens = THREADS
        stop = threading.Event()
        log_durability_in_background(state["store"].scripts.guarantee, stop)
        try:
            yield state
        finally:
            stop.set()
            state["refusals"].log()
            await state["hub"].close()
            await state["async_store"].scripts.close()
            state["store"].close()

    return lifespan


def _native_routes() -> list[Route]:
    return [
        Route("/v1/jobs", Direct(job_lists.create_or_list_jobs), methods=["GET", "POST"]),
        Route("/v1/jobs/cancel", cancel_many.cancel_jobs, methods=["POST"]),
        Route(
            "/v1/jobs/{job_id}", Direct(cancellation.show_or_cancel_job), methods=["GET", "DELETE"]
        ),
        Route("/v1/jobs/{job_id}/cancel", cancellation.cancel_job, methods=["POST"]),
        Route("/v1/jobs/{job_id}/events", Direct(events.watch_job), methods=["GET"]),
        Route("/v1/events", Direct(events.watch_all), methods=["GET"]),
        Route("/v1/jobs/{job_id}/retry", dead_letters.retry_job, methods=["POST"]),
        Route("/v1/jobs/{job_id}/image", results.send_image, methods=["GET"]),
        Route("/v1/jobs/{job_id}/artifacts/{role}", results.send_artifact, methods=["GET"]),
        Route("/v1/jobs/{job_id}/callback", dead_letters.resend_callback, methods=["POST"]),
        Route("/v1/batches", batches.create_or_list_batches, methods=["GET", "POST"]),
        Route("/v1/batches/{batch_id}", batches.show_batch, methods=["GET"]),
        Route("/v1/batches/{batch_id}/jobs", batches.list_batch_jobs, methods=["GET"]),
        Route("/v1/batches/{batch_id}/results", batches.send_batch_results, methods=["GET"]),
        Route("/v1/batches/{batch_id}/cancel", batches.cancel_batch, methods=["POST"]),
        Route("/v1/batches/{batch_id}/retry", batches.retry_batch, methods=["POST"]),
        Route("/v1/batches/{batch_id}/callback", batches.resend_batch_callback, methods=["POST"]),
        Route("/v1/dead-letters", dead_letters.list_dead_letters, methods=["GET"]),
        Route(
            "/v1/dead-letters/{kind}/{id}",
            dead_letters.dismiss_dead_letter,
            methods=["DELETE"],
        ),
        Route("/v1/callbacks", callbacks.list_callbacks, methods=["GET"]),
        Route("/v1/callbacks/replay", callbacks.replay_callbacks, methods=["POST"]),
        Route("/v1/callbacks/test", test_event.test_callback, methods=["POST"]),
        Route("/v1/callback-secret", jobs.show_callback_secret, methods=["GET"]),
        Route("/v1/models", reference.list_models, methods=["GET"]),
        Route("/openapi.json", reference.show_openapi, methods=["GET"]),
        Route("/docs", reference.show_docs, methods=["GET"]),
        Route("/webhooks/bfl/{job_id}", Direct(webhooks.receive_webhook), methods=["POST"]),
        Route("/livez", health.livez, methods=["GET"]),
        Route("/readyz", health.readyz, methods=["GET"]),
        Route("/metrics", metrics.show_metrics, methods=["GET"]),
    ]


def _drop_in_routes(settings: Settings) -> list[Route]:
    """Return the provider's own paths; they come last, so that no model name hides our own."""
    submits = (
        Route(model.path, endpoints.submit_to(model), methods=["POST"], name=model.name)
        for model in settings.models.values()
    )
    return [
        Route("/v1/get_result", endpoints.get_result, methods=["GET"]),
        Route("/v1/credits", endpoints.show_credits, methods=["GET"]),
        Route("/v1/samples/{name}", samples.send_sample, methods=["GET"]),
        *submits,
    ]
