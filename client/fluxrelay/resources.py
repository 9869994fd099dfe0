"""The clients' methods, by kind of thing."""

from __future__ import annotations

from fluxrelay.operations.callbacks import CallbackOperations, DeadLetterOperations
from fluxrelay.operations.jobs import JobOperations
from fluxrelay.operations.service import ModelOperations
from fluxrelay.running.methods import (
    AsyncResource,
    Resource,
    async_paging,
    awaited,
    blocking,
    paging,
)


class Jobs(Resource[JobOperations]):
    """Jobs."""

    create = blocking(JobOperations.create)
    get = blocking(JobOperations.get)
    wait = blocking(JobOperations.wait)
    cancel = blocking(JobOperations.cancel)
    cancel_many = blocking(JobOperations.cancel_many)
    retry = blocking(JobOperations.retry)
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
    image = awaited(JobOperations.image)
    artifact = awaited(JobOperations.artifact)
    link = awaited(JobOperations.link)
    save = awaited(JobOperations.save)
    iterate = async_paging(JobOperations.list)
    list = awaited(JobOperations.list)


class Callbacks(Resource[CallbackOperations]):
    """Callbacks."""

    verify = blocking(CallbackOperations.verify)
    secret = blocking(CallbackOperations.secret)
    resend = blocking(CallbackOperations.resend)


class AsyncCallbacks(AsyncResource[CallbackOperations]):
    """Callbacks."""

    verify = awaited(CallbackOperations.verify)
    secret = awaited(CallbackOperations.secret)
    resend = awaited(CallbackOperations.resend)


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
