"""Puts the application together: routes, error handlers, and what requests work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from core.catalogue import MODELS
from core.errors import StorageUnavailable, StoreUnavailable
from core.object_store import ObjectStore
from core.redis_scripts import connect
from core.settings import Settings
from core.store import JobStore
from service import health, jobs, problems, webhooks
from service.access import AccessLog
from service.body import BodyReader
from service.intake import Intake
from service.problems import Problem
from service.schemas import image_names
from service.state import State


def create_app(settings: Settings) -> Starlette:
    """Return the application; it connects to nothing before its first request."""
    store = JobStore(connect(settings), settings)
    objects = ObjectStore(settings.s3_bucket)
    bodies = BodyReader(
        limit=settings.max_body_bytes,
        at_a_time=settings.large_bodies,
        images=image_names(MODELS.values()),
    )
    intake = Intake(settings, store, objects)
    state = State(settings=settings, store=store, bodies=bodies, intake=intake)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        yield state

    app = Starlette(
        routes=[
            Route("/v1/jobs", jobs.create_job, methods=["POST"]),
            Route("/v1/jobs/{job_id}", jobs.show_job, methods=["GET"]),
            Route("/v1/callback-secret", jobs.show_callback_secret, methods=["GET"]),
            Route("/webhooks/bfl/{job_id}", webhooks.receive_webhook, methods=["POST"]),
            Route("/livez", health.livez, methods=["GET"]),
            Route("/readyz", health.readyz, methods=["GET"]),
        ],
        middleware=[Middleware(AccessLog)],
        exception_handlers={
            Problem: problems.on_problem,
            ClientDisconnect: problems.on_disconnect,
            HTTPException: problems.on_http_exception,
            StoreUnavailable: problems.on_unavailable,
            StorageUnavailable: problems.on_unavailable,
            Exception: problems.on_bug,
        },
        lifespan=lifespan,
    )
    # A path with a slash too many gets a problem document, not a redirect that drops the body.
    app.router.redirect_slashes = False
    return app
