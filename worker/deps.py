"""What steps are given to work with; built once per process by `worker.wiring`."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.account_book import AccountBook
from core.errors import Transient
from core.job import Job
from core.object_store import ObjectStore
from core.settings import Settings
from core.store import JobStore
from worker.callbacks import CallbackClient
from worker.download import Downloader
from worker.hosts import HostBreakers
from worker.provider import ProviderClient
from worker.retry import backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """The outside systems, the settings, time and chance."""

    settings: Settings
    store: JobStore
    accounts: AccountBook
    objects: ObjectStore
    #: Account's name -> its client.
    providers: Mapping[str, ProviderClient]
    downloader: Downloader
    callbacks: CallbackClient
    receivers: HostBreakers
    #: Returns Unix time in seconds.
    clock: Callable[[], float]
    rng: random.Random

    def provider(self, job: Job) -> ProviderClient:
        """Return the client of the account that the job is, or was, made on.

        Raises:
            Transient: That account is not configured here (any more).
        """
        try:
            return self.providers[job.pool or ""]
        except KeyError:
            raise Transient(f"the account {job.pool} is not configured here") from None

    def wait(self, tries: int) -> float:
        """Return the seconds before a step is tried again."""
        return backoff(
            tries,
            base=self.settings.retry_base_seconds,
            longest=self.settings.retry_max_seconds,
            rng=self.rng,
        )
