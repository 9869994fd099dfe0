"""One attempt at a callback: how it is sent, and what each answer means."""

import gzip
import ssl
import tracemalloc
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from stack.receiver import Answer, CallbackReceiver
from tests.contract.scripted_server import ScriptedServer, Wire, answer, head
from worker.clients.callbacks import REFUSED, CallbackClient, Delivery

BODY = '{"ä": 1}'.encode()
HEADERS = {"content-type": "application/json", "webhook-id": "msg_1"}
Make = Callable[[float], CallbackClient]


@pytest.fixture
def make(ssl_context: ssl.SSLContext) -> Make:
    """Return a function that makes a client that may call 127.0.0.1, with a time limit."""

    def client(timeout: float) -> CallbackClient:
        return CallbackClient(
            allowed=[ip_network("127.0.0.1/32")],
            timeout=timeout,
            connections=2,
            ssl_context=ssl_context,
        )

    return client


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery(make: Make, receiver: CallbackReceiver, status: int) -> None:
    """The receiver took it: nothing more is to be done. It got the exact bytes and headers."""
    receiver.script(Answer(status=status))

    delivery = make(5).post(receiver.url, BODY, HEADERS)

    assert delivery == Delivery(status=status)
    assert (delivery.delivered, delivery.final) == (True, True)
    (callback,) = receiver.callbacks
    assert callback.body == BODY
    assert HEADERS.items() <= callback.headers.items()


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_any_other_answer_is_to_be_tried_again(
    make: Make, server: ScriptedServer, status: int
) -> None:
    """No other status is a delivery, and a redirect is not followed."""
    server.script = answer(status, b"", f"location: {server.url}/elsewhere")

    delivery = make(5).post(server.url, BODY, HEADERS)

    assert (delivery.status, delivery.delivered, delivery.final) == (status, False, False)
    assert len(server.requests) == 1


def test_gone_is_final(make: Make, receiver: CallbackReceiver) -> None:
    """410 says that no callback is wanted there any more."""
    receiver.script(Answer(status=410))

    delivery = make(5).post(receiver.url, BODY, HEADERS)

    assert (delivery.delivered, delivery.final) == (False, True)


@pytest.mark.parametrize("host", ["10.255.255.1", "169.254.169.254", "[::1]"])
def test_private_addresses_are_refused_for_good(
    make: Make, receiver: CallbackReceiver, host: str
) -> None:
    """A host outside the allowed networks gets nothing, and no second attempt."""
    delivery = make(5).post(f"http://{host}:{receiver.port}/", BODY, HEADERS)

    assert (delivery.error, delivery.final, delivery.delivered) == (REFUSED, True, False)
    assert not receiver.callbacks


def test_a_receiver_that_closes_is_to_be_tried_again(
    make: Make, receiver: CallbackReceiver
) -> None:
    """Nobody knows whether it was taken, so it is sent again."""
    receiver.script(Answer(status=None))

    delivery = make(5).post(receiver.url, BODY, HEADERS)

    assert (delivery.status, delivery.error, delivery.final) == (
        None,
        "RemoteProtocolError",
        False,
    )


def test_a_receiver_that_is_down_is_to_be_tried_again(
    make: Make, receiver: CallbackReceiver
) -> None:
    """A refused connection is an attempt that failed, without an exception."""
    receiver.go_down()

    delivery = make(5).post(receiver.url, BODY, HEADERS)

    assert (delivery.error, delivery.final) == ("ConnectError", False)


def test_a_silent_receiver_is_given_up(make: Make, server: ScriptedServer) -> None:
    """A receiver that does not answer holds a worker no longer than the time limit."""
    server.script = Wire.stall

    assert make(0.2).post(server.url, BODY, HEADERS).error == "ReadTimeout"


def test_a_head_that_comes_byte_by_byte_is_given_up(make: Make, server: ScriptedServer) -> None:
    """The time limit holds for the attempt as a whole, though each byte comes in time."""

    def script(wire: Wire) -> None:
        wire.say(b"HTTP/1.1 200 OK\r\nx: ")
        wire.dribble(b"y", times=200, every=0.05)
        wire.say(b"\r\ncontent-length: 0\r\n\r\n")

    server.script = script

    assert make(0.4).post(server.url, BODY, HEADERS).error == "ReadTimeout"


def test_a_status_counts_although_the_body_never_ends(make: Make, server: ScriptedServer) -> None:
    """A receiver that took it has taken it, whatever it goes on to say."""

    def script(wire: Wire) -> None:
        wire.say(head(200))
        wire.dribble(b"y", times=10_000, every=0.01)

    server.script = script

    assert make(0.4).post(server.url, BODY, HEADERS) == Delivery(status=200)


def test_a_large_answer_is_not_read(make: Make, server: ScriptedServer) -> None:
    """Of the answer's body only a beginning is read."""

    def script(wire: Wire) -> None:
        wire.say(head(200))
        wire.dribble(bytes(65_536), times=1_000_000, every=0)

    server.script = script

    assert make(5).post(server.url, BODY, HEADERS) == Delivery(status=200)


def test_an_answer_is_not_unpacked(make: Make, server: ScriptedServer) -> None:
    """Compression is not undone: a receiver could fill the memory with a few bytes."""
    server.script = answer(200, gzip.compress(bytes(50_000_000)), "content-encoding: gzip")
    client = make(5)
    tracemalloc.start()

    delivery = client.post(server.url, BODY, HEADERS)

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert delivery == Delivery(status=200)
    assert most < 10_000_000


@pytest.mark.parametrize(
    "url", ["", "http://", "http://a..b/", "http://[::1", "gopher://127.0.0.1/", "http://h:x/"]
)
def test_a_url_that_is_none_is_no_exception(make: Make, url: str) -> None:
    """Whatever stands in the record, an attempt ends with a delivery and nothing else."""
    delivery = make(5).post(url, BODY, HEADERS)

    assert (delivery.status, delivery.delivered) == (None, False)
    assert delivery.error
