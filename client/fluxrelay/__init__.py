"""The Python client of FluxRelay: images and videos of the FLUX API, stored in your bucket."""

from fluxrelay.async_client import AsyncFluxRelay
from fluxrelay.client import FluxRelay
from fluxrelay.errors import (
    AuthenticationError,
    BadRequestError,
    CallbackVerificationError,
    ConfigurationError,
    ConfirmMismatchError,
    ConflictError,
    CorruptFileError,
    FluxRelayError,
    IdempotencyConflictError,
    InvalidArgumentError,
    InvalidFieldsError,
    InvalidItemsError,
    JobFailedError,
    NotFoundError,
    ProblemError,
    RejectedError,
    ServerError,
    TooManyRequestsError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    WaitTimeoutError,
)
from fluxrelay.operations.verification import verify_callback
from fluxrelay.protocol.retry import RetryPolicy
from fluxrelay.protocol.version import VERSION
from fluxrelay.types.batches import Batch, BatchResult
from fluxrelay.types.callbacks import (
    Attempt,
    Callback,
    CallbackSecret,
    CallbackTest,
    DeadLetter,
)
from fluxrelay.types.jobs import CancelResult, File, Job, JobError
from fluxrelay.types.reference import Event, ModelInfo, Page

__version__ = VERSION

__all__ = [
    "AsyncFluxRelay",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "Batch",
    "BatchResult",
    "Callback",
    "CallbackSecret",
    "CallbackTest",
    "CallbackVerificationError",
    "CancelResult",
    "ConfigurationError",
    "ConfirmMismatchError",
    "ConflictError",
    "CorruptFileError",
    "DeadLetter",
    "Event",
    "File",
    "FluxRelay",
    "FluxRelayError",
    "IdempotencyConflictError",
    "InvalidArgumentError",
    "InvalidFieldsError",
    "InvalidItemsError",
    "Job",
    "JobError",
    "JobFailedError",
    "ModelInfo",
    "NotFoundError",
    "Page",
    "ProblemError",
    "RejectedError",
    "RetryPolicy",
    "ServerError",
    "TooManyRequestsError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "WaitTimeoutError",
    "__version__",
    "verify_callback",
]
