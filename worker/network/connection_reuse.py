"""Closes connections on which a server has sent more than the answer that was asked for.

Such bytes would be taken for the answer to the next request on that connection, which may be
another tenant's (response splitting). httpcore closes an idle connection whose socket has bytes to
read, but it keeps those that it read together with the end of the answer.
"""

from typing import Any

import httpcore


class _CheckedConnection(httpcore.ConnectionInterface):
    """A connection that is used again only if nothing is left of the last exchange."""

    def __init__(self, connection: httpcore.ConnectionInterface) -> None:
        self._connection = connection

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        return self._connection.handle_request(request)

    def close(self) -> None:
        self._connection.close()

    def info(self) -> str:
        return self._connection.info()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        return self._connection.can_handle_request(origin)

    def is_available(self) -> bool:
        return self._connection.is_available() and not self._has_leftover()

    def has_expired(self) -> bool:
        return self._connection.has_expired() or (self.is_idle() and self._has_leftover())

    def is_idle(self) -> bool:
        return self._connection.is_idle()

    def is_closed(self) -> bool:
        return self._connection.is_closed()

    def _has_leftover(self) -> bool:
        # A connection through a proxy wraps one that wraps one; the innermost parses HTTP.
        connection: Any = self._connection
        while inner := getattr(connection, "_connection", None):
            connection = inner
        # httpcore has no public way to ask; a test fails if this breaks.
        parser = getattr(connection, "_h11_state", None)
        return parser is not None and bool(parser.trailing_data[0])


def close_after_extra_bytes(pool: httpcore.ConnectionPool) -> None:
    """Have a pool close each connection that brought more than one answer to one request."""
    create = pool.create_connection

    def create_checked(origin: httpcore.Origin) -> httpcore.ConnectionInterface:
        return _CheckedConnection(create(origin))

    pool.create_connection = create_checked  # type: ignore[method-assign]
