"""Each error as the client raises it, by both clients."""

import pytest

import fluxrelay
from fluxrelay import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    FluxRelay,
    FluxRelayError,
    InvalidFieldsError,
    ProblemError,
    UnexpectedAnswerError,
)
from fluxrelay.errors import complaint
from stack.stack import Stack
from tests.client.conftest import MakeClient
from tests.client.scripted_service import JOB, ScriptedService, refuses, says
from tests.contract.scripted_server import Script, answer


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "bad-request", "BadRequestError"),
        (405, "method-not-allowed", "BadRequestError"),
        (413, "body-too-large", "BadRequestError"),
        (415, "content-encoding", "BadRequestError"),
        (401, "wrong-key", "AuthenticationError"),
        (403, "a-proxys", "AuthenticationError"),
        (404, "no-such-job", "NotFoundError"),
        (409, "cannot-cancel", "ConflictError"),
        (409, "confirm-mismatch", "ConfirmMismatchError"),
        (422, "anything", "RejectedError"),
        (422, "invalid-fields", "InvalidFieldsError"),
        (422, "invalid-items", "InvalidItemsError"),
        (422, "idempotency-conflict", "IdempotencyConflictError"),
        (429, "backlog-full", "TooManyRequestsError"),
        (502, "a-proxys", "UnavailableError"),
        (503, "unavailable", "UnavailableError"),
        (500, "internal", "ServerError"),
        (501, "unknown-method", "ServerError"),
    ],
)
def test_a_problem_has_its_class(
    scripted: FluxRelay, service: ScriptedService, status: int, kind: str, error: str
) -> None:
    """Each problem is raised as its class, below one for all, with all that the document says."""
    service.says(refuses(status, kind, count=3, errors=[{"field": "a", "detail": "is 1"}]))

    with pytest.raises(ProblemError) as caught:
        scripted.models.list()

    problem = caught.value
    assert type(problem) is getattr(fluxrelay, error)
    assert isinstance(problem, FluxRelayError)
    assert (problem.status, problem.type, problem.title) == (status, kind, "Refused")
    assert problem.detail == f"refused as {kind}"
    assert problem.errors == ({"field": "a", "detail": "is 1"},)
    assert problem.extra == {"count": 3}
    assert problem.raw["count"] == 3
    assert str(problem) == f"refused as {kind} ({status} {kind}): a is 1"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"field": "a", "detail": "is 1"}, "a is 1"),
        ({"field": "a", "detail": "is 1", "fix": "send 2"}, "a is 1; send 2"),
        (
            {"field": "a", "detail": "is 1", "allowed": "2 or 3", "fix": "send one"},
            "a is 1, allowed: 2 or 3; send one",
        ),
        (
            {"field": "a", "detail": "is 1", "allowed": "2 or 3", "fix": "send 2 or 3"},
            "a is 1; send 2 or 3",
        ),
        (
            {"field": "input.width", "detail": "is 1", "line": 4, "custom_id": "fox"},
            "line 4, fox: input.width is 1",
        ),
        ({"line": 3, "detail": "it is not JSON"}, "line 3: it is not JSON"),
        ({"field": "custom_id", "detail": "is missing", "line": 4}, "line 4: custom_id is missing"),
    ],
)
def test_a_complaint_says_where_and_how_to_mend_it(entry: dict[str, object], said: str) -> None:
    """What is allowed is told once, and an item of a batch by its line and its name."""
    assert complaint(entry) == said


def test_an_error_names_the_first_complaints(scripted: FluxRelay, service: ScriptedService) -> None:
    """Five of them, each on a line of its own, and the number of all others."""
    complaints = [{"field": f"f{number}", "detail": "is 1"} for number in range(7)]
    service.says(refuses(422, "invalid-fields", errors=complaints))

    with pytest.raises(InvalidFieldsError) as caught:
        scripted.models.list()

    first, *lines = str(caught.value).splitlines()
    assert first == "refused as invalid-fields (422 invalid-fields)"
    assert lines == [*(f"  f{number} is 1" for number in range(5)), "  and 2 more"]


def test_fields_of_the_service_are_named(client: FluxRelay) -> None:
    """The running product's complaints are all there."""
    with pytest.raises(InvalidFieldsError, match=r"input\.width is 1000; send a mult") as caught:
        client.jobs.create("flux-pro-1.1", {"prompt": "a fox", "width": 1000, "steps": 3})

    assert {error["field"] for error in caught.value.errors} == {"input.width", "input.steps"}
    assert caught.value.idempotency_key


def test_a_wrong_key_is_refused(make_client: MakeClient, relay: Stack) -> None:
    """The running product's refusal of a key is an error of its own; no message has the key."""
    with pytest.raises(AuthenticationError) as caught:
        make_client(relay.service_url, "a-wrong-key").models.list()

    assert (caught.value.status, caught.value.type) == (401, "wrong-key")
    assert "a-wrong-key" not in str(caught.value)


@pytest.mark.parametrize(
    "script",
    [
        answer(200, b"<html>a page</html>"),
        answer(200, b""),
        says(200, []),
        answer(302, b"", "location: https://elsewhere.example/"),
        answer(304),
    ],
)
def test_something_else_answers(
    scripted: FluxRelay, service: ScriptedService, script: Script
) -> None:
    """An answer that FluxRelay does not give is an error that shows it."""
    service.says(script)

    with pytest.raises(UnexpectedAnswerError):
        scripted.models.list()


@pytest.mark.parametrize(
    "view",
    [[], {}, JOB | {"created_at": "yesterday"}, JOB | {"timeline": 3}, JOB | {"timeline": [3]}],
)
def test_a_job_of_another_form(scripted: FluxRelay, service: ScriptedService, view: object) -> None:
    """An answer that cannot be a job is an error of ours, never a KeyError or the like."""
    service.says(says(200, view))

    with pytest.raises(FluxRelayError):
        scripted.jobs.get("an-id")


def test_what_is_new_is_kept(scripted: FluxRelay, service: ScriptedService) -> None:
    """Fields that this version does not know are no error, and stand in `raw`."""
    service.says(says(200, JOB | {"a_new_field": {"deep": 1}, "status": "a-new-status"}))

    job = scripted.jobs.get("an-id")

    assert (job.status, job.raw["a_new_field"]) == ("a-new-status", {"deep": 1})


def test_a_problem_that_is_none(scripted: FluxRelay, service: ScriptedService) -> None:
    """The refusal of a proxy, in whatever form, is shown in part."""
    service.says(answer(413, b"<html>too large</html>" + b"x" * 10_000))

    with pytest.raises(BadRequestError, match="too large") as caught:
        scripted.models.list()

    assert (caught.value.type, len(str(caught.value)) < 300) == ("", True)


@pytest.mark.parametrize(
    ("url", "key", "told"),
    [
        ("", "k", "FLUXRELAY_URL"),
        ("http://relay.example", "", "FLUXRELAY_KEY"),
        ("relay.example", "k", "http"),
        ("ftp://relay.example", "k", "http"),
        ("http://relay.example", "a\nb", "printable"),
    ],
)
def test_a_client_needs_an_address_and_a_key(
    monkeypatch: pytest.MonkeyPatch, url: str, key: str, told: str
) -> None:
    """What is missing or wrong is told before anything is sent; a key is never shown."""
    monkeypatch.delenv("FLUXRELAY_URL", raising=False)
    monkeypatch.delenv("FLUXRELAY_KEY", raising=False)

    with pytest.raises(ConfigurationError, match=told):
        FluxRelay(url, key)


def test_the_environment_tells_the_rest(monkeypatch: pytest.MonkeyPatch, relay: Stack) -> None:
    """Without arguments, address and key come from the environment; a path stays in the address."""
    monkeypatch.setenv("FLUXRELAY_URL", relay.service_url + "/")
    monkeypatch.setenv("FLUXRELAY_KEY", relay.api_key)

    with FluxRelay() as client:
        assert {model.name for model in client.models.list()} >= {"flux-pro-1.1", "flux-3-video"}
