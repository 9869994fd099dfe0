"""The types of events that callbacks tell."""

from enum import StrEnum
from typing import Final


class CallbackEvent(StrEnum):
    """Type of a callback's event."""

    JOB_GENERATING = "job.generating"  # the provider has taken the job
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    BATCH_COMPLETED = "batch.completed"
    TEST = "callback.test"  # a sample, asked for by the caller


#: The events of a job's end, which are told unless the caller chooses.
ENDS: Final = (CallbackEvent.JOB_SUCCEEDED, CallbackEvent.JOB_FAILED, CallbackEvent.JOB_CANCELED)
#: The events of a job that a caller may choose.
OF_A_JOB: Final = (CallbackEvent.JOB_GENERATING, *ENDS)
