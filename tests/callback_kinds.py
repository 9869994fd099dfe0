"""Has a callback of each type sent to a receiver, by the service itself."""

from typing import Final

import httpx

from core.jobs.callback_events import CallbackEvent
from core.operations.callbacks.samples import TRIABLE
from fluxrelay import FluxRelay
from stack.stack import Stack
from tests.conftest import Eventually

#: The event that a real batch tells besides its sample.
_OF_A_BATCH: Final = CallbackEvent.BATCH_COMPLETED


def assert_every_kind_is_taken(relay: Stack, url: str, eventually: Eventually) -> None:
    """Check that a receiver takes a sample of each type, and the callback of a batch, with 204.

    Args:
        relay: The product.
        url: The receiver's URL.
        eventually: Waits for a condition.
    """
    assert set(TRIABLE) == set(CallbackEvent)
    with FluxRelay(relay.service_url, relay.api_key) as client:
        for kind in TRIABLE:
            sample = client.callbacks.test(url, type=kind)
            assert (sample.status, sample.error) == (httpx.codes.NO_CONTENT, None), kind
        batch = client.batches.create(
            [{"custom_id": "fox", "input": {"prompt": "A red fox"}}],
            defaults={"model": "flux-pro-1.1"},
            callback={"url": url},
        )
        eventually(lambda: client.callbacks.list(batch=batch, type=_OF_A_BATCH).items != ())
        (attempt,) = client.callbacks.list(batch=batch)
        assert (attempt.status, attempt.error) == (httpx.codes.NO_CONTENT, None)
