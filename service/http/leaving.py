"""How an endpoint that takes long learns that its client has left."""

from typing import Final

#: Key of the ASGI scope: a function that is called once the client has closed its connection, or
#: the side of it that it sends on. In ASGI, only a task of its own could wait for that.
ON_LEAVE: Final = "fluxrelay.on_leave"
#: Key of the ASGI scope that is there once the client has left.
HAS_LEFT: Final = "fluxrelay.has_left"
