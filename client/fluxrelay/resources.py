"""The clients' methods, by kind of thing."""

from __future__ import annotations

from fluxrelay.operations.batches import BatchOperations
from fluxrelay.operations.callbacks import CallbackOperations, DeadLetterOperations
from fluxrelay.operations.jobs import JobOperations
from fluxrelay.operations.service import ModelOperations, ServiceOperations
from fluxrelay.protocol.session import Session
from fluxrelay.running.methods import (
    AsyncResource,
    Resource,
    async_paging,
    async_streaming,
    awaited,
    blocking,
    paging,
    streaming,
)


class AllOperations:
    """The operations of one client, which are the same for threads and for async code."""

    def __init__(self, session: Session, callback_secret: str | None) -> None:
        self.service = ServiceOperations(session)
        self.jobs = JobOperations(session)
        self.batches = BatchOperations(session)
        self.callbacks = CallbackOperations(session, callback_secret)
        self.dead_letters = DeadLetterOperations(session)
        self.models = ModelOperations(session)


class Jobs(Resource[JobOperations]):
    """Jobs."""

    create = blocking(JobOperations.create)
    get = blocking(JobOperations.get)
    wait = blocking(JobOperations.wait)
    cancel = blocking(JobOperations.cancel)
    cancel_many = blocking(JobOperations.cancel_many)
    retry = blocking(JobOperations.retry)
    events = streaming(JobOperations.events)
    image = blocking(JobOperations.image)
    artifact = blocking(JobOperations.artifact)
    link = blocking(JobOperations.link)
    save = blocking(JobOperations.save)
    iterate = paging(JobOperations.list)
    list = blocking(JobOperations.list)


class AsyncJobs(AsyncResource[JobOperations]):
    """Jobs."""

    create = awaited(JobOperations.create)
    get = awaited(JobOperations.get)
    wait = awaited(JobOperations.wait)
    cancel = awaited(JobOperations.cancel)
    cancel_many = awaited(JobOperations.cancel_many)
    retry = awaited(JobOperations.retry)
    events = async_streaming(JobOperations.events)
    image = awaited(JobOperations.image)
    artifact = awaited(JobOperations.artifact)
    link = awaited(JobOperations.link)
    save = awaited(JobOperations.save)
    iterate = async_paging(JobOperations.list)
    list = awaited(JobOperations.list)


class Batches(Resource[BatchOperations]):
    """Batches."""

    create = blocking(BatchOperations.create)
    get = blocking(BatchOperations.get)
    wait = blocking(BatchOperations.wait)
    cancel = blocking(BatchOperations.cancel)
    retry = blocking(BatchOperations.retry)
    resend = blocking(BatchOperations.resend)
    results = streaming(BatchOperations.results)
    link = blocking(BatchOperations.link)
    save = blocking(BatchOperations.save)
    jobs = blocking(BatchOperations.jobs)
    iterate_jobs = paging(BatchOperations.jobs)
    iterate = paging(BatchOperations.list)
    list = blocking(BatchOperations.list)


class AsyncBatches(AsyncResource[BatchOperations]):
    """Batches."""

    create = awaited(BatchOperations.create)
    get = awaited(BatchOperations.get)
    wait = awaited(BatchOperations.wait)
    cancel = awaited(BatchOperations.cancel)
    retry = awaited(BatchOperations.retry)
    resend = awaited(BatchOperations.resend)
    results = async_streaming(BatchOperations.results)
    link = awaited(BatchOperations.link)
    save = awaited(BatchOperations.save)
    jobs = awaited(BatchOperations.jobs)
    iterate_jobs = async_paging(BatchOperations.jobs)
    iterate = async_paging(BatchOperations.list)
    list = awaited(BatchOperations.list)


class Callbacks(Resource[CallbackOperations]):
    """Callbacks."""

    verify = blocking(CallbackOperations.verify)
    secret = blocking(CallbackOperations.secret)
    replay = blocking(CallbackOperations.replay)
    test = blocking(CallbackOperations.test)
    resend = blocking(CallbackOperations.resend)
    iterate = paging(CallbackOperations.list)
    list = blocking(CallbackOperations.list)


class AsyncCallbacks(AsyncResource[CallbackOperations]):
    """Callbacks."""

    verify = awaited(CallbackOperations.verify)
    secret = awaited(CallbackOperations.secret)
    replay = awaited(CallbackOperations.replay)
    test = awaited(CallbackOperations.test)
    resend = awaited(CallbackOperations.resend)
    iterate = async_paging(CallbackOperations.list)
    list = awaited(CallbackOperations.list)


class DeadLetters(Resource[DeadLetterOperations]):
    """Dead letters."""

    dismiss = blocking(DeadLetterOperations.dismiss)
    iterate = paging(DeadLetterOperations.list)
    list = blocking(DeadLetterOperations.list)


class AsyncDeadLetters(AsyncResource[DeadLetterOperations]):
    """Dead letters."""

    dismiss = awaited(DeadLetterOperations.dismiss)
    iterate = async_paging(DeadLetterOperations.list)
    list = awaited(DeadLetterOperations.list)


class Models(Resource[ModelOperations]):
    """Models."""

    list = blocking(ModelOperations.list)


class AsyncModels(AsyncResource[ModelOperations]):
    """Models."""

    list = awaited(ModelOperations.list)
