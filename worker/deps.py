"""The dependencies of steps, built once per process by `worker.runtime.wiring`."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.errors import Transient
from core.jobs.job import Job
from core.operations.account_status import AccountRegistry
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from worker.clients.backoff import backoff
from worker.clients.bulkhead import Bulkhead, VideoPlaces
from worker.clients.callbacks import CallbackClient
from worker.clients.download import Downloader
from worker.clients.provider import ProviderClient
from worker.clients.receiver_breakers import ReceiverBreakers


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """Clients of the outside systems, the settings, the clock and the random source."""

    settings: Settings
    store: JobStore
    accounts: AccountRegistry
    objects: ObjectStore
    #: Account name -> its client.
    providers: Mapping[str, ProviderClient]
    downloader: Downloader
    callbacks: CallbackClient
    bulkhead: Bulkhead
    receivers: ReceiverBreakers
    video_places: VideoPlaces
    #: Returns Unix time in seconds.
    clock: Callable[[], float]
    rng: random.Random

    def provider(self, job: Job) -> ProviderClient:
        """Return the client of the account that the job is, or was, made on.

        Raises:
            Transient: The account is not configured in this process.
        """
        try:
            return self.providers[job.pool or ""]
        except KeyError:
            raise Transient(f"the account {job.pool} is not configured here") from None

    def limit_of(self, job: Job) -> str | None:
        """Return the model after which the job's limit is named; None: its account's alone."""
        accounts = (one for one in self.settings.accounts if one.name == job.pool)
        return next((one.limit_of(job.request.model) for one in accounts), None)

    def link_seconds(self, job: Job) -> float:
        """Return the seconds that a link to the job's result lives, if it does not say so."""
        return job.link_seconds or self.settings.result_lifetime_seconds

    def task_ends_at(self, job: Job) -> float:
        """Return the Unix time at which the job's task is given up.

        A deadline that is earlier than its model's ends the job, but not its task: the provider
        counts the task for as long as it runs.
        """
        usual = self.settings.deadline_seconds(job.request.model)
        return max(job.request.deadline_at, job.request.created_at + usual)

    def wait(self, tries: int) -> float:
        """Return the seconds before a step is retried."""
        return backoff(
            tries,
            base=self.settings.retry_base_seconds,
            longest=self.settings.retry_max_seconds,
            rng=self.rng,
        )
