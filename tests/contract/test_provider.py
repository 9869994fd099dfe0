"""Every outcome of a submit, from a server that says it."""

import json
import ssl

import pytest

from core.jobs.failures import FailureCode
from core.text_values import Secret
from tests.contract.scripted_server import ScriptedServer, Wire, answer, head
from worker.clients.provider import ProviderClient
from worker.clients.submit_outcomes import (
    Accepted,
    AcceptedWithoutId,
    AccountRefused,
    Busy,
    InDoubt,
    NotSent,
    Rejected,
)

PATH = "/v1/flux-pro-1.1"
KEY = "the-key-of-the-account"


def _client(server: ScriptedServer, ssl_context: ssl.SSLContext, timeout: float) -> ProviderClient:
    return ProviderClient(
        server.url,
        Secret(KEY),
        timeout=timeout,
        lifetime=600,
        connections=2,
        ssl_context=ssl_context,
    )


@pytest.fixture
def provider(server: ScriptedServer, ssl_context: ssl.SSLContext) -> ProviderClient:
    """Return a client of the scripted server."""
    return _client(server, ssl_context, 5)


@pytest.fixture
def hasty(server: ScriptedServer, ssl_context: ssl.SSLContext) -> ProviderClient:
    """Return the same, but one that soon gives up."""
    return _client(server, ssl_context, 0.4)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_submit_is_one_request_with_the_key(
    provider: ProviderClient, server: ScriptedServer
) -> None:
    """The body goes to the model's path as JSON, once, with the account's key."""
    server.script = answer(200, _json({"id": "t1", "status": "Pending", "webhook_url": "x"}))

    provider.submit(PATH, {"prompt": "ä", "seed": 0})

    (request,) = server.requests
    assert (request.method, request.target) == ("POST", PATH)
    assert json.loads(request.body) == {"prompt": "ä", "seed": 0}
    assert request.headers["x-key"] == KEY
    assert request.headers["content-type"] == "application/json"


def test_an_accepted_submit(provider: ProviderClient, server: ScriptedServer) -> None:
    """The task's id, its polling URL and its cost are read."""
    told = {"id": "t1", "polling_url": "https://api.us2.example/v1/get_result?id=t1", "cost": 4}
    server.script = answer(200, _json(told))

    outcome = provider.submit(PATH, {})

    assert isinstance(outcome, Accepted)
    submission = outcome.submission
    assert (submission.provider_id, submission.cost) == ("t1", 4.0)
    assert submission.polling_url == told["polling_url"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b"null", b'{"id": ""}', b'{"id": true}', b'{"id": 1.5}', b"<p>"),
        *(b'{"id": ["t"]}', b"[" * 100_000, b'{"polling_url": 7}', b'{"id": "\\ud800"}'),
        *(b'{"polling_url": "https://elsewhere.example/x"}', b'{"polling_url": "https://[x"}'),
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_a_yes_that_names_no_task(
    provider: ProviderClient, server: ScriptedServer, body: bytes, status: int
) -> None:
    """Something was accepted, and paid for, but nobody knows as what."""
    server.script = answer(status, body)

    assert isinstance(provider.submit(PATH, {}), AcceptedWithoutId)


def test_a_yes_that_breaks_off_names_no_task(
    provider: ProviderClient, server: ScriptedServer
) -> None:
    """The head said yes, so the job was taken, whatever became of the rest."""
    server.script = answer(200, b'{"id": "t', length=500)

    assert isinstance(provider.submit(PATH, {}), AcceptedWithoutId)


@pytest.mark.parametrize(
    ("body", "task"),
    [
        (b'{"id": 12345}', "12345"),
        (b'{"id": 0}', "0"),
        (b'{"id": 12345678901234567890123}', "12345678901234567890123"),
        (b'{"id": 7.0}', "7"),
        (b'{"task_id": "t1"}', "t1"),
        (b'{"polling_url": "https://api.eu2.bfl.ai/v1/get_result?id=t%2F1"}', "t/1"),
        (b'{"id": null, "polling_url": "https://api.eu2.bfl.ai/v1/get_result?id=t1"}', "t1"),
        (b'{"polling_url": "https://elsewhere.example/v1/get_result?id=t1"}', "t1"),
        (b'{"polling_url": "https://api.eu2.bfl.ai/v1/tasks/7"}', None),
    ],
)
def test_a_task_is_named_in_many_ways(
    provider: ProviderClient, server: ScriptedServer, body: bytes, task: str | None
) -> None:
    """A number is an id as well, and a polling URL alone is enough to ask for the result."""
    server.script = answer(200, body)

    outcome = provider.submit(PATH, {})

    assert isinstance(outcome, Accepted)
    assert outcome.submission.provider_id == task


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520])
def test_a_broken_answer_is_in_doubt(
    provider: ProviderClient, server: ScriptedServer, status: int
) -> None:
    """After a 5xx or a 408 the task may exist."""
    server.script = answer(status, b"<html>bad gateway</html>")

    outcome = provider.submit(PATH, {})

    assert outcome == InDoubt(f"the provider answered {status}")


@pytest.mark.parametrize("stalls_after", [b"", b"HTTP/1.1 200 OK\r\n", head(500) + b'{"id"'])
def test_silence_is_in_doubt(
    hasty: ProviderClient, server: ScriptedServer, stalls_after: bytes
) -> None:
    """Once the request has left, a lost answer proves nothing."""

    def script(wire: Wire) -> None:
        wire.say(stalls_after)
        wire.stall()

    server.script = script

    assert isinstance(hasty.submit(PATH, {}), InDoubt)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "outcome"), [(500, InDoubt), (200, AcceptedWithoutId)])
def test_a_trickling_answer_is_given_up(
    hasty: ProviderClient, server: ScriptedServer, status: int, outcome: type[object]
) -> None:
    """An answer that comes byte by byte is waited for until the time limit; a yes stays one."""

    def script(wire: Wire) -> None:
        wire.say(head(status))
        wire.dribble(b" ", times=60, every=0.05)
        wire.say(b'{"id": "t"}')

    server.script = script

    assert isinstance(hasty.submit(PATH, {}), outcome)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", b"nonsense\r\n\r\n"])
def test_a_closed_connection_is_in_doubt(
    provider: ProviderClient, server: ScriptedServer, said: bytes
) -> None:
    """A connection that ends without an answer says nothing about the task."""
    server.script = lambda wire: wire.say(said)

    assert isinstance(provider.submit(PATH, {}), InDoubt)


def test_a_refused_connection_was_not_sent(ssl_context: ssl.SSLContext) -> None:
    """Where no connection came about, nothing was paid: it may be sent again."""
    with ScriptedServer() as server:
        url = server.url
    provider = ProviderClient(
        url, Secret(KEY), timeout=1, lifetime=600, connections=1, ssl_context=ssl_context
    )

    assert isinstance(provider.submit(PATH, {}), NotSent)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("retry-after: 7", 7.0),
        ("Retry-After:  0", 0.0),
        ("retry-after: 999999999999", 300.0),
        ("retry-after: " + "9" * 400, 300.0),
        ("retry-after: Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("retry-after: Wed, 21 Oct 2099 07:28:00 GMT", 300.0),
        ("retry-after: -5", None),
        ("retry-after: inf", None),
        ("retry-after: nan", None),
        ("retry-after:", None),
        ("x: y", None),
    ],
)
def test_429_is_busy(
    provider: ProviderClient, server: ScriptedServer, header: str, seconds: float | None
) -> None:
    """The slots are taken; how long to wait is read where it is said, and within bounds."""
    server.script = answer(429, _json({"detail": "Too many active tasks"}), header)

    assert provider.submit(PATH, {}) == Busy(seconds)


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (401, "Unauthorized"),
        (402, "Insufficient credits"),
        (403, "Not authenticated"),
        (422, "Invalid API key format"),
    ],
)
def test_the_account_is_refused(
    provider: ProviderClient, server: ScriptedServer, status: int, detail: str
) -> None:
    """No credits, or a bad key, is no fault of the job."""
    server.script = answer(status, _json({"detail": detail}))

    assert provider.submit(PATH, {}) == AccountRefused(f"{status} {detail}")


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422])
def test_a_job_is_rejected(provider: ProviderClient, server: ScriptedServer, status: int) -> None:
    """What the provider will never take ends the job, with the provider's reason."""
    server.script = answer(status, _json({"detail": "Finetune not found"}))

    outcome = provider.submit(PATH, {})

    assert isinstance(outcome, Rejected)
    assert outcome.code is FailureCode.PROVIDER_REJECTED
    assert f"{status}: Finetune not found" in outcome.message


def test_a_rejection_names_the_fields_and_not_their_values(
    provider: ProviderClient, server: ScriptedServer
) -> None:
    """Of a list of validation errors, place and message are passed on, in bounded length."""
    wrong = {"loc": ["body", "seed"], "msg": "not an integer", "input": "PRIVATE", "type": "x"}
    server.script = answer(422, _json({"detail": [wrong, "odd", {"msg": "y" * 9999}]}))

    outcome = provider.submit(PATH, {})

    assert isinstance(outcome, Rejected)
    assert "body.seed: not an integer" in outcome.message
    assert "PRIVATE" not in outcome.message
    assert len(outcome.message) < 600


@pytest.mark.parametrize("status", [301, 307, 308])
def test_redirects_are_not_followed(
    provider: ProviderClient, server: ScriptedServer, status: int
) -> None:
    """A submit, and the key with it, goes to the configured host only."""
    server.script = answer(status, b"", f"location: {server.url}/elsewhere")

    provider.submit(PATH, {})

    assert len(server.requests) == 1


@pytest.mark.parametrize("loc", [None, 5, 0, True, "seed", {"body": "seed"}, [["body"], {}, None]])
def test_a_rejection_in_an_odd_shape_is_a_rejection(
    provider: ProviderClient, server: ScriptedServer, loc: object
) -> None:
    """A place that is no list crashes no step: a job that was refused would be in doubt."""
    server.script = answer(422, _json({"detail": [{"loc": loc, "msg": "not an integer"}]}))

    outcome = provider.submit(PATH, {})

    assert isinstance(outcome, Rejected)
    assert "not an integer" in outcome.message
