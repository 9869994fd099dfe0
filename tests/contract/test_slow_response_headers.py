"""The provider's answers are waited for within their limit, also before they really begin."""

import ssl

import pytest

from core.errors import Transient
from core.text_values import Secret
from tests.contract.scripted_server import ScriptedServer, Wire
from worker.clients.provider import ProviderClient
from worker.clients.submit_outcomes import InDoubt


@pytest.fixture
def hasty(server: ScriptedServer, ssl_context: ssl.SSLContext) -> ProviderClient:
    """Return a client that soon gives up on an answer, but may send for long."""
    return ProviderClient(
        server.url,
        Secret("the-key"),
        timeout=0.4,
        send_timeout=60,
        lifetime=600,
        connections=2,
        ssl_context=ssl_context,
    )


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 102 Processing\r\nx: y\r\n\r\n"),
    ],
)
def test_a_trickling_head_is_given_up(
    hasty: ProviderClient, server: ScriptedServer, begin: bytes, drop: bytes
) -> None:
    """An answer whose head comes byte by byte, or is announced again and again, has a limit."""

    def script(wire: Wire) -> None:
        wire.say(begin)
        wire.dribble(drop, times=60, every=0.05)

    server.script = script

    outcome = hasty.submit("/v1/flux-pro-1.1", {})

    assert isinstance(outcome, InDoubt)
    assert "Timeout" in outcome.message
    with pytest.raises(Transient, match="Timeout"):
        hasty.result(hasty.result_url("t"))
