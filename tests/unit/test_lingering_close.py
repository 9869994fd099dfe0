"""How the head of a response and its body are written to a connection."""

import asyncio

import pytest

from service.server.lingering_close import LingeringTransport

HEAD = b"HTTP/1.1 202 Accepted\r\ncontent-length: 4\r\n\r\n"


class RecordingTransport(asyncio.Transport):
    """Keeps what is written, one entry for each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the data."""
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        """Return that nothing is pending."""
        return 0

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self.is_closed

    def close(self) -> None:
        """Close."""
        self.is_closed = True

    def abort(self) -> None:
        """Close."""
        self.is_closed = True


@pytest.fixture
def below() -> RecordingTransport:
    """Return the transport that is written to."""
    return RecordingTransport()


@pytest.fixture
def transport(below: RecordingTransport) -> LingeringTransport:
    """Return a transport without unread input."""
    return LingeringTransport(below, lambda: False, lambda: None)


def test_a_head_is_sent_with_its_body(
    transport: LingeringTransport, below: RecordingTransport
) -> None:
    """A head that says how long the body is waits for it; what follows the body does not wait."""
    transport.write(HEAD)
    assert below.written == []

    transport.write(b"body")
    transport.write(b"more")

    assert below.written == [HEAD + b"body", b"more"]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        HEAD + b"body",
        b"a part of a body\r\n\r\n",
    ],
)
def test_whatever_else_is_sent_at_once(
    transport: LingeringTransport, below: RecordingTransport, head: bytes
) -> None:
    """A head whose body may be long in coming waits for nothing, and no more does a body."""
    transport.write(head)

    assert below.written == [head]


def test_a_head_without_a_body(transport: LingeringTransport, below: RecordingTransport) -> None:
    """The head of a response that has no body is sent when the response is complete."""
    transport.write(HEAD)
    transport.flush()
    transport.flush()

    assert below.written == [HEAD]


def test_an_empty_body(transport: LingeringTransport, below: RecordingTransport) -> None:
    """A body of no bytes sends its head."""
    transport.write(HEAD)
    transport.write(b"")

    assert below.written == [HEAD]


def test_a_close_sends_what_waits(transport: LingeringTransport, below: RecordingTransport) -> None:
    """A head is not lost if the response breaks off behind it."""
    transport.write(HEAD)
    transport.close()

    assert (below.written, below.is_closed) == ([HEAD], True)


def test_an_abort_sends_nothing(transport: LingeringTransport, below: RecordingTransport) -> None:
    """A connection that is cut off takes what waits with it."""
    transport.write(HEAD)
    transport.abort()
    transport.flush()

    assert (below.written, below.is_closed) == ([], True)
