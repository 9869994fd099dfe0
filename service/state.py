"""What requests are given to work with."""

from typing import Any, TypedDict

from core.operations.account_status import AccountRegistry
from core.operations.dead_letters import DeadLetters
from core.redis.async_store import AsyncJobStore
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from service.body.request_body import BodyReader
from service.http.drain import Drain
from service.http.places import Places
from service.http.proxy_hint import ProxyHint
from service.intake.intake import Intake
from service.intake.storage_threads import Threads


class State(TypedDict):
    """Lives as long as the application."""

    settings: Settings
    drain: Drain
    store: JobStore
    #: The same, for what need not hold a thread while it waits.
    awaited: AsyncJobStore
    accounts: AccountRegistry
    objects: ObjectStore
    bodies: BodyReader
    intake: Intake
    #: For taking jobs in, which waits for the disk.
    intake_threads: Threads
    #: For storing the images of those that have any, and for sending images out: both wait for S3.
    image_threads: Threads
    sample_threads: Threads
    #: For images that are being sent, however slow their clients read.
    sample_places: Places
    dead_letters: DeadLetters
    proxy_hint: ProxyHint
    #: The OpenAPI document, which is the same for every caller.
    openapi: dict[str, Any]
