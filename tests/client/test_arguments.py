"""Arguments that cannot be sent: errors of ours, and nothing is sent."""

import pytest

from fluxrelay import FluxRelay, FluxRelayError, InvalidArgumentError
from tests.client.scripted_service import JOB, ScriptedService, says

_WRONG_KEYS = ["key\n", " key", "key ", "k\u00e9y", "k\x7fey", "k\r\nx: y", "\t"]


@pytest.mark.parametrize("wrong", ["", ".", ".."])
def test_an_id_that_leads_elsewhere(
    scripted: FluxRelay, service: ScriptedService, wrong: str
) -> None:
    """An unset variable of a script, or a path, is no id of anything: `.` would list all jobs."""
    service.says(says(200, JOB))
    calls = (
        lambda: scripted.jobs.get(wrong),
        lambda: scripted.jobs.cancel(wrong),
        lambda: scripted.jobs.wait(wrong),
        lambda: list(scripted.jobs.events(wrong)),
        lambda: scripted.jobs.link(wrong),
        lambda: scripted.batches.get(wrong),
        lambda: scripted.batches.cancel(wrong),
        lambda: scripted.callbacks.resend(wrong),
    )
    for call in calls:
        with pytest.raises(InvalidArgumentError, match="id"):
            call()
    assert service.requests == []


@pytest.mark.parametrize("key", _WRONG_KEYS)
def test_an_idempotency_key_that_no_header_can_have(
    scripted: FluxRelay, service: ScriptedService, key: str
) -> None:
    """It is refused at once, not tried again and again; as an error of ours and as a ValueError."""
    service.says(says(200, JOB))
    with pytest.raises(ValueError, match="idempotency key") as caught:
        scripted.jobs.create("m", {}, idempotency_key=key)
    assert isinstance(caught.value, FluxRelayError)
    with pytest.raises(InvalidArgumentError):
        scripted.batches.create([{"custom_id": "1"}], idempotency_key=key)
    with pytest.raises(InvalidArgumentError):
        scripted.request("POST", "/v1/jobs", json={}, idempotency_key=key)
    assert service.requests == []
