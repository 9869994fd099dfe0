"""Finds the items in a JSON document as it comes: the members of the array `items` of its object.

Everything else is the envelope, in which the array is left empty. This module need not validate:
each item and the envelope are parsed afterwards, and whatever is wrong with the brackets between
them is noted as `is_broken`.
"""

import json
import re
from collections.abc import Callable
from typing import Final

from service.batches.spooled_items import ItemSink

_ITEMS: Final = "items"
_LONGEST_NAME: Final = 256  # bytes of a member's name, as encoded
_MARK: Final = re.compile(rb'["{}\[\],:]')
_IN_STRING: Final = re.compile(rb'["\\]')
_JSON_SPACE: Final = b" \t\r\n"
_ITEM_DEPTH: Final = 2  # brackets around an item


class JsonDocument:
    """Cuts a body into its envelope and its items.

    Args:
        sink: Takes the items.
        envelope: Takes the envelope's bytes.
    """

    def __init__(self, sink: ItemSink, envelope: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._envelope = envelope
        self.is_broken = False
        #: Whether another object or array follows the outer one, as in NDJSON.
        self.has_several = False
        self._depth = 0
        self._complete = False
        self._in_string = False
        self._escaped = False
        #: The last string directly in the outer object, with its closing quote, and whether a colon
        #: followed it.
        self._name = bytearray()
        self._named = False
        #: Whether we are in the array of items; whether an item is open, and whether one must come.
        self._within = False
        self._open = False
        self._owes = False
        self._number = 0
        #: Bytes of the open item that the sink has not yet: it takes few large pieces sooner.
        self._pending = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        at = 0
        while at < len(piece):
            at = self._string(piece, at) if self._in_string else self._between(piece, at)
        self._flush()

    def end(self) -> None:
        """Finish: the body is complete."""
        if self._open:
            self._close()
        self.is_broken |= self._within or self._in_string or self._depth != 0

    def _string(self, piece: bytes, at: int) -> int:
        """Go on to the end of a string."""
        start = at
        if self._escaped:
            self._escaped = False
            at += 1
        while found := _IN_STRING.search(piece, at):
            if found[0] == b'"':
                self._in_string = False
                self._keep(piece[start : found.end()])
                return found.end()
            at = found.end() + 1
            self._escaped = at > len(piece)
        self._keep(piece[start:])
        return len(piece)

    def _between(self, piece: bytes, at: int) -> int:
        """Go on to the next bracket, comma, colon or string, and past it."""
        found = _MARK.search(piece, at)
        end = found.start() if found else len(piece)
        self._plain(piece[at:end])
        if not found:
            return end
        mark = found[0]
        if mark == b'"':
            self._begin_value()
            self._in_string = True
            if self._depth == 1 and not self._within:
                self._name.clear()
                self._named = False
            self._pass(mark)
        elif mark in b"{[":
            self._open_bracket(mark)
        elif mark in b"}]":
            self._close_bracket(mark)
        elif mark == b"," and self._within and self._depth == _ITEM_DEPTH:
            self._comma()
        else:
            self._named = mark == b":" if self._depth == 1 else self._named
            self._pass(mark)
        return found.end()

    def _plain(self, part: bytes) -> None:
        """Take numbers, words and space."""
        if part.strip(_JSON_SPACE):
            self._begin_value()
            if self._depth == 1 and not self._within:
                self._named = False
        self._pass(part)

    def _begin_value(self) -> None:
        if self._within and self._depth == _ITEM_DEPTH and not self._open:
            self._number += 1
            self._sink.begin(self._number)
            self._open, self._owes = True, False

    def _open_bracket(self, mark: bytes) -> None:
        self._begin_value()
        self.has_several |= self._depth == 0 and self._complete
        items = mark == b"[" and self._depth == 1 and self._named and self._is_items()
        self._named = False
        self._pass(mark)
        self._depth += 1
        if items:
            self._within = True

    def _close_bracket(self, mark: bytes) -> None:
        self._depth -= 1
        if self._within and self._depth == 1:
            self.is_broken |= self._owes or mark != b"]"
            if self._open:
                self._close()
            self._within = self._owes = False
        self.is_broken |= self._depth < 0
        self._complete |= self._depth == 0
        self._pass(mark)

    def _comma(self) -> None:
        self.is_broken |= not self._open
        if self._open:
            self._close()
        self._owes = True

    def _close(self) -> None:
        self._flush()
        self._sink.end()
        self._open = False

    def _flush(self) -> None:
        if self._pending:
            self._sink.feed(bytes(self._pending))
            self._pending.clear()

    def _is_items(self) -> bool:
        try:
            return bool(json.loads(b'"%b' % bytes(self._name)) == _ITEMS)
        except ValueError:
            return False

    def _keep(self, part: bytes) -> None:
        """Take a part of a string, up to its quote."""
        if self._depth == 1 and not self._within and len(self._name) <= _LONGEST_NAME:
            self._name += part
        self._pass(part)

    def _pass(self, part: bytes) -> None:
        """Hand bytes over to the item that is open, or to the envelope."""
        if self._open:
            self._pending += part
        elif not self._within or part.strip(_JSON_SPACE):
            self._envelope(part)
