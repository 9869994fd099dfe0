"""Ports are free, ours alone, and out of the way of outgoing connections."""

import socket
from pathlib import Path

from stack.servers.ports import GRPC_OFFSET, LOOPBACK, Ports, is_free


def _listener(port: int) -> socket.socket:
    return socket.create_server((LOOPBACK, port))


def test_a_taken_port_can_be_listened_on() -> None:
    """A server can listen on the port that was taken for it."""
    with Ports() as ports:
        _listener(ports.take()).close()


def test_both_ports_of_a_pair_can_be_listened_on() -> None:
    """The port a pair stands for and the one for gRPC are both free."""
    with Ports() as ports:
        first = ports.take_pair()
        with _listener(first), _listener(first + GRPC_OFFSET):
            assert not is_free(first)
            assert not is_free(first + GRPC_OFFSET)


def test_two_launchers_never_share_a_port() -> None:
    """Ports taken by one holder are not given to another, even while nobody listens on them."""
    with Ports() as one, Ports() as other:
        taken = [holder.take() for _ in range(200) for holder in (one, other)]
    assert len(set(taken)) == 400


def test_a_held_port_is_free_for_others_after_close() -> None:
    """Closing lets go: the name that holds a port can be bound by somebody else."""
    with Ports() as ports:
        port = ports.take()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hold:
        hold.bind(f"\0fluxrelay-port-{port}")


def test_ports_lie_below_the_range_of_outgoing_connections() -> None:
    """No outgoing connection can be given a port that was taken, nor its gRPC port."""
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with Ports() as ports:
        assert all(ports.take() < first_outgoing for _ in range(100))
        assert all(ports.take_pair() + GRPC_OFFSET < first_outgoing for _ in range(100))


def test_a_port_somebody_listens_on_is_not_free() -> None:
    """A listening stranger is noticed."""
    with Ports() as ports:
        port = ports.take()
        assert is_free(port)
        with _listener(port):
            assert not is_free(port)


def test_a_port_that_is_asked_for_is_taken_if_it_is_free() -> None:
    """The same port, and the same pair, can be had again; while it is taken, it is another."""
    with Ports() as first:
        port, pair = first.take(), first.take_pair()
        with Ports() as second:
            assert second.take(port) != port
            assert second.take_pair(pair) != pair
    with Ports() as later:
        assert (later.take(port), later.take_pair(pair)) == (port, pair)
