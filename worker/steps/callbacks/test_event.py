"""Sends a sample event to a URL that a caller wants to try."""

from core.operations.callbacks import samples
from core.operations.callbacks.samples import CallbackTest, sample_data
from worker.clients.receiver import Receiver
from worker.deps import Deps
from worker.steps.callbacks.attempt import (
    Message,
    attempt_if_allowed,
    attempt_record,
    signed_message,
)


def send_test_event(test_id: str, deps: Deps) -> None:
    """Make the one attempt of a test, whatever pauses the receiver.

    Raises:
        StoreUnavailable: The test is lost; its caller repeats it.
    """
    test = samples.read(deps.store, test_id)
    if test is None or test.outcome is not None:
        return
    receiver = Receiver(test.tenant, test.url)
    now = deps.clock()
    delivery, _ = attempt_if_allowed(
        receiver,
        lambda: _message(test_id, test, deps),
        deps,
        about=test_id,
        is_last=True,
        is_first=True,
    )
    samples.record(deps.store, test_id, attempt_record(test.event_type, delivery, now))


def _message(test_id: str, test: CallbackTest, deps: Deps) -> Message:
    data = sample_data(test.event_type, test.tenant, deps.settings.s3_bucket)
    message_id = f"msg_test_{test_id}"
    return signed_message(test.event_type, data, message_id, test.tenant, deps, at=deps.clock())
