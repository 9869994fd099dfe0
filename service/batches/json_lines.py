"""Finds the items in NDJSON: one JSON text per line."""

from typing import Final

from service.batches.spooled_items import ItemSink

_JSON_SPACE: Final = b" \t\r\n"


class JsonLines:
    """Cuts a body into lines as it comes. JSON has no raw line break inside a string.

    Args:
        sink: Takes the items; empty lines are none.
    """

    def __init__(self, sink: ItemSink) -> None:
        self._sink = sink
        self._line = 1
        self._open = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        at = 0
        while (end := piece.find(b"\n", at)) >= 0:
            self._feed(piece[at:end])
            self._close()
            self._line += 1
            at = end + 1
        self._feed(piece[at:])

    def end(self) -> None:
        """Finish: the body is complete."""
        self._close()

    def _feed(self, part: bytes) -> None:
        if not self._open and not part.strip(_JSON_SPACE):
            return
        if not self._open:
            self._sink.begin(self._line)
            self._open = True
        self._sink.feed(part)

    def _close(self) -> None:
        if self._open:
            self._sink.end()
            self._open = False
