"""Every answer about a result, from a server that says it."""

import json
import ssl

import pytest

from core.errors import Transient
from core.jobs.failures import FailureCode
from core.provider.wire_format import Kind
from core.text_values import Secret
from tests.contract.scripted_server import ScriptedServer, Wire, answer, head
from worker.clients.provider import ProviderClient

KEY = "the-key-of-the-account"


@pytest.fixture
def provider(server: ScriptedServer, ssl_context: ssl.SSLContext) -> ProviderClient:
    """Return a client of the scripted server."""
    return ProviderClient(
        server.url, Secret(KEY), timeout=5, lifetime=600, connections=2, ssl_context=ssl_context
    )


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_result_is_asked_for_by_id(provider: ProviderClient) -> None:
    """The id is quoted, and another host may be named."""
    assert provider.result_url("a/b&c", "https://api.eu.example").endswith(
        "example/v1/get_result?id=a%2Fb%26c"
    )


@pytest.mark.parametrize("status", [200, 422, 500, 503])
def test_a_task_in_the_body_is_a_notice_whatever_the_status(
    provider: ProviderClient, server: ScriptedServer, status: int
) -> None:
    """A failed task has been seen to come with 422: the body counts."""
    told = {"id": "t", "status": "Error", "details": {"error": "Invalid image input"}}
    server.script = answer(status, _json(told))

    notice = provider.result(provider.result_url("t"))

    assert (notice.kind, notice.code) == (Kind.FAILED, FailureCode.INVALID_INPUT)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"detail": "Not Found"}', b"<html>"])
def test_404_is_not_found(provider: ProviderClient, server: ScriptedServer, body: bytes) -> None:
    """A host that does not know the task says so, in whatever words."""
    server.script = answer(404, body)

    assert provider.result(provider.result_url("t")).kind is Kind.NOT_FOUND


@pytest.mark.parametrize("status", [401, 402, 403, 408, 425, 429, 500, 503])
def test_no_notice_is_to_be_asked_again(
    provider: ProviderClient, server: ScriptedServer, status: int
) -> None:
    """An answer without a task that may pass proves nothing; its Retry-After is passed on."""
    server.script = answer(status, _json({"detail": "sorry"}), "retry-after: 3")

    with pytest.raises(Transient, match=str(status)) as caught:
        provider.result(provider.result_url("t"))
    assert caught.value.retry_after == 3.0


@pytest.mark.parametrize(
    "url", ["", "http://[::1", "http://h:x/", "ftp://h/", "http://127.0.0.1:1/"]
)
def test_a_host_that_cannot_be_asked_is_transient(provider: ProviderClient, url: str) -> None:
    """Also a polling URL that is none ends in the one error that the step handles."""
    with pytest.raises(Transient) as caught:
        provider.result(url)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("status", [200, 204, 301, 307, 400, 405, 422])
def test_an_answer_that_will_be_no_other_is_unusable(
    provider: ProviderClient, server: ScriptedServer, status: int
) -> None:
    """A redirect is not followed with our key, and a page holds no task: it is told what came."""
    server.script = answer(status, _json({"detail": "sorry"}), "location: https://evil.example/")

    notice = provider.result(provider.result_url("t"))

    assert (notice.kind, notice.status) == (Kind.UNUSABLE, "")
    assert notice.message.endswith(f"do not mention the task: get_result answered {status}")
    assert len(server.requests) == 1


def test_an_outage_s_own_words_are_no_task(
    provider: ProviderClient, server: ScriptedServer
) -> None:
    """A gateway's `status` in an error's body is not a task's."""
    server.script = answer(503, _json({"status": "error", "message": "upstream"}))

    with pytest.raises(Transient, match="503"):
        provider.result(provider.result_url("t"))


def test_of_a_huge_answer_the_beginning_counts(
    provider: ProviderClient, server: ScriptedServer
) -> None:
    """What is larger than any result is not read to its end: what counts comes first."""
    link = "https://delivery.bfl.ai/x"
    told = _json({"id": "t", "status": "Ready", "result": {"sample": link}})

    def script(wire: Wire) -> None:
        wire.say(head(200), told[:-1], b', "preview": "')
        wire.dribble(b"A" * 1_000_000, times=10_000, every=0)

    server.script = script

    notice = provider.result(provider.result_url("t"))

    assert (notice.kind, notice.url) == (Kind.READY, link)


def test_an_error_with_megabytes_of_details_is_read(
    provider: ProviderClient, server: ScriptedServer
) -> None:
    """Its reason is told, and little more is kept of it."""
    details = {"error": "Out of memory", "trace": "x" * 5_000_000}
    server.script = answer(200, _json({"id": "t", "status": "Error", "details": details}))

    notice = provider.result(provider.result_url("t"))

    assert (notice.kind, notice.code) == (Kind.FAILED, FailureCode.PROVIDER_ERROR)
    assert notice.message.endswith("Out of memory")
    assert len(_json(dict(notice.details or {}))) <= 4096
