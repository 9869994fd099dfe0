"""Our clients serve many tenants and hosts: nothing of one exchange goes into the next."""

import json
import ssl
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from core.provider.wire_format import Kind
from core.text_values import Secret
from stack.receiver import Answer, CallbackReceiver
from tests.contract.scripted_server import ScriptedServer, answer
from worker.clients.callbacks import CallbackClient
from worker.clients.download import Downloader
from worker.clients.provider import ProviderClient

#: As many, and as long, as a receiver may set; sent back, they are more than servers take.
COOKIES = tuple(("set-cookie", f"c{n}={'x' * 4000}; Path=/; Max-Age=86400") for n in range(25))
#: Headers by which browsers remember something of a server, and may send it back.
MEMORABLE = (
    "set-cookie: tenant=one; Path=/",
    "set-cookie2: tenant=one; Version=1; Path=/",
    "set-cookie: everywhere=1; Domain=127.0.0.1; Path=/; SameSite=None",
    'alt-svc: h2="127.0.0.1:1"; ma=86400',
    'etag: "tenant-one"',
    "last-modified: Wed, 21 Oct 2015 07:28:00 GMT",
    'www-authenticate: Basic realm="one"',
    "accept-ch: Sec-CH-UA",
)


@pytest.fixture
def callbacks(ssl_context: ssl.SSLContext) -> CallbackClient:
    """Return a client of callbacks that may call this machine."""
    return CallbackClient(
        allowed=[ip_network("127.0.0.0/8")], timeout=5, connections=2, ssl_context=ssl_context
    )


@pytest.fixture
def provider(server: ScriptedServer, ssl_context: ssl.SSLContext) -> ProviderClient:
    """Return a client of the scripted server as the provider."""
    return ProviderClient(
        server.url, Secret("key"), timeout=5, lifetime=600, connections=2, ssl_context=ssl_context
    )


def test_cookies_of_a_tenant_do_not_reach_another(
    callbacks: CallbackClient, receiver: CallbackReceiver
) -> None:
    """A receiver sets 25 large cookies: the next callback to its host carries none of them."""
    receiver.script(Answer(headers=COOKIES))
    callbacks.post(f"{receiver.url}/one", b"1", {})

    told = callbacks.post(f"{receiver.url}/two", b"2", {})

    assert told.delivered
    first, second = receiver.callbacks
    assert first.headers == second.headers


@pytest.mark.parametrize("status", [204, 401, 407, 500])
def test_a_callback_goes_out_as_if_it_were_the_first(
    callbacks: CallbackClient, server: ScriptedServer, status: int
) -> None:
    """Whatever an answer asks to be remembered, the next request's headers are the same."""
    server.script = answer(status, b"", *MEMORABLE)

    for _ in range(2):
        callbacks.post(f"{server.url}/callback", b"{}", {"content-type": "application/json"})

    first, second = server.requests
    assert first.headers == second.headers


def test_a_submit_and_a_poll_take_nothing_along(
    provider: ProviderClient, server: ScriptedServer
) -> None:
    """The provider's cookies, of whichever account, are not sent back to it."""
    server.script = answer(200, json.dumps({"id": "t", "status": "Ready"}).encode(), *MEMORABLE)
    provider.submit("/v1/flux-pro-1.1", {"prompt": "x"})
    provider.submit("/v1/flux-pro-1.1", {"prompt": "x"})

    assert provider.result(provider.result_url("t")).kind is not Kind.NOT_FOUND

    first, second, poll = server.requests
    assert first.headers == second.headers
    assert not {"cookie", "if-none-match", "authorization"} & poll.headers.keys()


def test_a_download_takes_nothing_along(
    server: ScriptedServer, ssl_context: ssl.SSLContext, picture: Callable[[str], bytes]
) -> None:
    """A delivery host that sets cookies gets the second request as it got the first."""
    downloader = Downloader(["127.0.0.1"], timeout=5, connections=2, ssl_context=ssl_context)
    server.script = answer(200, picture("PNG"), *MEMORABLE)

    for _ in range(2):
        downloader.fetch(f"{server.url}/a.png", lambda: None).file.close()

    first, second = server.requests
    assert first.headers == second.headers


def test_a_url_s_user_name_and_password_are_not_sent(
    callbacks: CallbackClient, server: ScriptedServer
) -> None:
    """What a URL holds of credentials makes no header, also where one reaches the client."""
    url = server.url.replace("http://", "http://user:password@")

    callbacks.post(f"{url}/callback", b"{}", {})

    (request,) = server.requests
    assert "authorization" not in request.headers
