"""Decodes base64 into a file while it arrives, using little memory."""

import binascii
from hashlib import sha256
from typing import IO, Final

_SCHEME: Final = "data:"
#: Whitespace that encoders insert and decoders ignore (RFC 2045 section 6.8).
_WHITESPACE: Final = b" \t\n\r\x0b\x0c"
_GROUP: Final = 4  # characters of base64 that make three bytes


class InlineFile:
    """A file as base64 (RFC 4648 section 4), with or without a `data:` prefix (RFC 2397).

    Line breaks are ignored. Feed it the text in pieces, then call `end`. Errors are recorded, not
    raised, so that they become errors about the field, reported with all others.

    Args:
        file: Receives the bytes; closed by whoever opened it.
        largest: Most bytes to write; further ones are only counted.

    Attributes:
        file: The bytes; after `end`, positioned at the start.
        size: The number of bytes.
        is_base64: Whether the text is valid base64 so far.
    """

    def __init__(self, file: IO[bytes], largest: int) -> None:
        self.file = file
        self.size = 0
        self.is_base64 = True
        self._largest = largest
        self._digest = sha256()
        self._head: str | None = ""
        self._in_prefix = False
        self._rest = b""
        self._padded = False

    @property
    def sha256(self) -> bytes:
        """The SHA-256 of the bytes."""
        return self._digest.digest()

    def feed(self, text: str) -> None:
        """Decode the next piece of the text.

        Raises:
            OSError: The file cannot be written.
        """
        if self._head is not None:
            self._head += text
            if len(self._head) < len(_SCHEME):
                return
            text, self._head = self._head, None
            self._in_prefix = text[: len(_SCHEME)].lower() == _SCHEME
        if self._in_prefix:
            _, comma, text = text.partition(",")
            self._in_prefix = not comma
        if self.is_base64:
            self._decode(text)

    def end(self) -> None:
        """Finish: the text is complete."""
        if self._head:
            self._decode(self._head)
        # An incomplete group is left: the padding is missing.
        self.is_base64 = self.is_base64 and not self._rest
        self.file.seek(0)

    def _decode(self, text: str) -> None:
        try:
            encoded = self._rest + text.encode("ascii").translate(None, _WHITESPACE)
            if self._padded and encoded:
                raise binascii.Error("more comes after the padding")
            whole = len(encoded) - len(encoded) % _GROUP
            data = binascii.a2b_base64(encoded[:whole], strict_mode=True)
        except ValueError:  # includes binascii.Error
            self.is_base64 = False
            return
        self._rest = encoded[whole:]
        self._padded = encoded[:whole].endswith(b"=")
        self.size += len(data)
        if self.size <= self._largest:
            self._digest.update(data)
            self.file.write(data)
