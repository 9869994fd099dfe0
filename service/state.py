"""The state shared by all requests."""

from typing import Any, TypedDict

from core.operations.account_status import AccountRegistry
from core.operations.dead_letters import DeadLetters
from core.operations.job_lists import JobLists
from core.redis.async_store import AsyncJobStore
from core.redis.events.event_log import EventLog
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from core.storage.presigned_urls import PresignedUrls
from service.batches.intake import BatchIntake
from service.batches.lifecycle import BatchLifecycle
from service.body.request_body import BodyReader
from service.http.drain import Drain
from service.http.places import Places
from service.http.proxy_hint import ProxyHint
from service.http.shares import Refusals, Shares
from service.intake.intake import Intake
from service.intake.storage_threads import ThreadPool
from service.watch.hub import Hub


class State(TypedDict):
    """Lives as long as the application."""

    settings: Settings
    drain: Drain
    store: JobStore
    #: The same store, for code that awaits Redis instead of blocking a thread.
    async_store: AsyncJobStore
    accounts: AccountRegistry
    objects: ObjectStore
    bodies: BodyReader
    intake: Intake
    #: Checks large bodies and runs retries, which wait for Redis.
    intake_threads: ThreadPool
    #: Store input images and read images to be sent; both wait for S3.
    image_threads: ThreadPool
    sample_threads: ThreadPool
    #: Bounds the images being sent, because clients may read slowly.
    sample_places: Places
    dead_letters: DeadLetters
    job_lists: JobLists
    #: None: the service sends the files of results itself.
    presigned_urls: PresignedUrls | None
    proxy_hint: ProxyHint
    batches: BatchIntake
    batch_lifecycle: BatchLifecycle
    #: Requests that limits turned away.
    refusals: Refusals
    #: Requests that wait for what comes of a sample event.
    callback_tests: Shares
    #: Requests that wait for jobs, and past events.
    hub: Hub
    events: EventLog
    #: The OpenAPI document, the same for every caller.
    openapi: dict[str, Any]
