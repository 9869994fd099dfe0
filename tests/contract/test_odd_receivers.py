"""Receivers that speak HTTP oddly: each attempt has an outcome, and the next one its own."""

import socket
import ssl
from collections.abc import Iterator

import httpx
import pytest

from tests.contract.odd_receivers import BODY, OK, Odd, post, read, resets, says
from worker.clients.callbacks import Delivery
from worker.network.guarded_http import open_client

EMPTY = b"content-length: 0\r\n\r\n"
FAILS = b"HTTP/1.1 500 Fails\r\n" + EMPTY
#: What an HTTP/2 server says first: its settings.
HTTP_2 = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"


def _answers_unasked(connection: socket.socket) -> None:
    """Answer before the request is there, and read it then; the connection ends with that."""
    connection.sendall(OK.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
    read(connection)


def _hangs_up_at_the_second(connection: socket.socket) -> None:
    """Answer one request, and close as the next one begins to come."""
    read(connection)
    connection.sendall(OK)
    connection.recv(1)
    resets(connection)


@pytest.fixture
def odd(ssl_context: ssl.SSLContext) -> Iterator[Odd]:
    """Return what runs receivers until the test is over."""
    with Odd(ssl_context) as made:
        yield made


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: </a>\r\n\r\n" + OK, 200),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 1000 + FAILS, 500),
        (b"HTTP/1.1 205 Reset\r\n" + EMPTY, 205),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304),
        (b"HTTP/1.1 308 Moved\r\nlocation: https://127.0.0.1/\r\n" + EMPTY, 308),
        (b"HTTP/1.1 999 Odd\r\n" + EMPTY, 999),
        (b"HTTP/1.1 200 \xc3\xa4\xff\r\n" + EMPTY, 200),
        (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", 200),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 90_000 + b"\r\n" + EMPTY, 200),
        (b"HTTP/1.1 503 Busy\r\nretry-after: \xff\xfe\r\n" + EMPTY, 503),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\0no trailer\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 200),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 3\r\n\r\nabc", 200),
    ],
)
def test_an_odd_answer_with_a_status_counts_by_it(odd: Odd, answer: bytes, status: int) -> None:
    """Whatever else is wrong with it, and as often as it comes."""
    receiver, client = odd.start(says(answer)), odd.client()

    assert [post(client, receiver).status for _ in range(3)] == [status] * 3


@pytest.mark.parametrize(
    "answer",
    [
        HTTP_2,
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 000 None\r\n" + EMPTY,
        b"HTTP/1.1 2000 OK\r\n" + EMPTY,
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"x: yyyyyyyy\r\n" * 100_000,
        b"taken, thank you",
        b"HTTP/1.1 302 Moved\r\nlocation: http://[::1\r\n" + EMPTY,
        b"ICY 200 OK\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_to_be_tried_again(odd: Odd, answer: bytes) -> None:
    """Each time anew, on another connection, for nobody knows what the receiver took."""
    receiver, client = odd.start(says(answer)), odd.client(timeout=1)

    deliveries = [post(client, receiver) for _ in range(2)]

    errors = {delivery.error for delivery in deliveries}
    # What never becomes a whole answer is waited for, as long as an attempt may take.
    assert errors <= {"RemoteProtocolError", "ReadTimeout"}
    assert not any(delivery.final for delivery in deliveries)
    assert receiver.connections == 2


@pytest.mark.parametrize(
    "more",
    [
        b"HTTP/1.1 204 Taken\r\n\r\nhello",
        b"HTTP/1.1 204 Taken\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 304 Known\r\n\r\nhello",
        b"HTTP/1.1 204 Taken\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" + OK,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + OK,
    ],
)
def test_what_comes_behind_an_answer_is_no_answer_to_the_next(odd: Odd, more: bytes) -> None:
    """The next callback there, perhaps another tenant's, gets an answer of its own."""
    receiver, client = odd.start(says(more, FAILS)), odd.client()
    status = int(more.split()[1])

    assert [post(client, receiver) for _ in range(3)] == [Delivery(status=status)] * 3
    assert receiver.connections == 3


def test_the_provider_s_answers_are_as_exact(ssl_context: ssl.SSLContext, odd: Odd) -> None:
    """All of our clients leave a connection on which more came than was asked for."""
    receiver = odd.start(says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" + FAILS))
    url = f"http://127.0.0.1:{receiver.port}/"
    with open_client(timeout=httpx.Timeout(5), connections=2, ssl_context=ssl_context) as client:
        assert [client.post(url, content=BODY).text for _ in range(3)] == ["ok"] * 3


def test_an_exact_answer_keeps_its_connection(odd: Odd) -> None:
    """With and without a body: this is what all others are asked on, one after another."""
    answers = (
        b"HTTP/1.1 204 Taken\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    )
    receiver, client = odd.start(says(*answers)), odd.client()

    assert [post(client, receiver).status for _ in range(4)] == [204, 200, 200, 200]
    assert receiver.connections == 1


def test_an_answer_may_come_before_the_request(odd: Odd) -> None:
    """The receiver took it: it said so on this connection, and read it."""
    receiver, client = odd.start(_answers_unasked), odd.client()

    assert [post(client, receiver).status for _ in range(2)] == [200, 200]


def test_a_receiver_that_hangs_up_as_we_send(odd: Odd) -> None:
    """Nobody knows whether it took it: that attempt failed, and the next one is on a new line."""
    receiver, client = odd.start(_hangs_up_at_the_second), odd.client()

    first, second, third = (post(client, receiver) for _ in range(3))

    assert (first.status, third.status) == (200, 200)
    assert second.error in {"RemoteProtocolError", "ReadError", "WriteError"}
    assert not second.final
    assert receiver.connections == 2


def test_hints_that_never_end_are_given_up(odd: Odd) -> None:
    """Informational answers come without end: the attempt takes no longer than any other."""

    def serve(connection: socket.socket) -> None:
        read(connection)
        while True:
            connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")

    receiver = odd.start(serve)

    assert post(odd.client(timeout=0.5), receiver).error == "ReadTimeout"
