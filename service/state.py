"""What requests are given to work with."""

from typing import Any, TypedDict

from core.account_book import AccountBook
from core.awaited_store import AwaitedStore
from core.dead_letters import DeadLetters
from core.object_store import ObjectStore
from core.settings import Settings
from core.store import JobStore
from service.body import BodyReader
from service.drain import Drain
from service.intake import Intake
from service.proxy_hint import ProxyHint
from service.threads import Threads


class State(TypedDict):
    """Lives as long as the application."""

    settings: Settings
    drain: Drain
    store: JobStore
    #: The same, for what need not hold a thread while it waits.
    awaited: AwaitedStore
    accounts: AccountBook
    objects: ObjectStore
    bodies: BodyReader
    intake: Intake
    #: For taking jobs in, which waits for the disk.
    intake_threads: Threads
    #: For storing the images of those that have any, and for sending images out: both wait for S3.
    image_threads: Threads
    sample_threads: Threads
    dead_letters: DeadLetters
    proxy_hint: ProxyHint
    #: The OpenAPI document, which is the same for every caller.
    openapi: dict[str, Any]
