"""The end of a batch among the events of a tenant, from the whole product."""

from stack.receiver import CallbackReceiver
from stack.stack import Stack
from tests.http.batch_calls import accepted, callbacks, item, show
from tests.http.conftest import Caller
from tests.http.sse import Events, Frame


def _until_completed(told: Events, batch_id: str) -> list[Frame]:
    """Return the events of a batch up to its end."""
    frames: list[Frame] = []
    while True:
        frame = told.event()
        if frame.data["batch"] == batch_id:
            frames.append(frame)
            if frame.event == "batch.completed":
                return frames


def test_the_end_of_a_batch_is_told_behind_those_of_its_jobs(
    api: Caller, relay: Stack, receiver: CallbackReceiver
) -> None:
    """To who listens, and to who comes back and asks for that batch alone; so does the callback."""
    with Events.of(relay.service_url, "/v1/events", key=relay.api_key) as told:
        known = told.next().id
        items = [item("a"), item("b")]
        batch = accepted(api, {"items": items, "callback": {"url": receiver.url}})["id"]
        frames = _until_completed(told, batch)

    names = [frame.event for frame in frames]
    assert names.count("job.succeeded") == 2
    assert names.count("batch.completed") == 1
    end = frames[-1].data
    ended = show(api, batch)
    assert (end["job_id"], end["status"]) == (None, "completed")
    assert (ended["status"], ended["results"] is not None) == ("completed", True)
    path = f"/v1/events?batch={batch}"
    with Events.of(relay.service_url, path, f"last-event-id: {known}", key=relay.api_key) as told:
        again = _until_completed(told, batch)
    assert [frame.id for frame in again] == [frame.id for frame in frames]
    api.eventually(lambda: batch in [one["id"] for one in callbacks(receiver)])
