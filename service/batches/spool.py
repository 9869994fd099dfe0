"""Temporary files that hold what should not be in memory; they have no name on disk."""

import io
import os
import tempfile
from typing import IO, Any, Final, cast

#: Most bytes that are held without a file: open files are few, and most batches are small.
IN_MEMORY: Final = 512 * 1024


class Spool:
    """One temporary file, to which pieces are appended; each is read by its own view.

    The file is opened once there is much to hold. It is written by one thread at a time, and read
    by any. It is deleted when it is closed, or when the process dies.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._memory = bytearray()
        self.size = 0

    def append(self, data: bytes) -> tuple[int, int]:
        """Write data at the end; return where it begins, and its size.

        Raises:
            OSError: There is no room.
        """
        at = self.size
        if self._file is None and at + len(data) <= IN_MEMORY:
            self._memory += data
            self.size += len(data)
            return at, len(data)
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
            self._write(self._file, self._memory, 0)
            self._memory = bytearray()
        self._write(self._file, data, at)
        self.size += len(data)
        return at, len(data)

    def read(self, at: int, size: int) -> bytes:
        """Return what was written there."""
        if self._file is None:
            return bytes(self._memory[at : at + size])
        return os.pread(self._file.fileno(), size, at)

    def open(self) -> IO[bytes]:
        """Return a file that begins at the end; it grows until the next one is opened."""
        return cast("IO[bytes]", _View(self))

    def close(self) -> None:
        """Delete it."""
        if self._file is not None:
            self._file.close()

    @staticmethod
    def _write(file: IO[bytes], data: bytes | bytearray, at: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(file.fileno(), view, at)
            at += written
            view = view[written:]


class _View(io.RawIOBase):
    """A file within a spool. Closing it frees nothing: the spool does."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._start = spool.size
        self._size = 0
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Append to the file, wherever it was read last."""
        _, written = self._spool.append(bytes(data))
        self._size += written
        self._at = self._size
        return written

    def readinto(self, buffer: Any) -> int:
        """Read as much as fits."""
        view = memoryview(buffer)
        wanted = max(0, min(len(view), self._size - self._at))
        data = self._spool.read(self._start + self._at, wanted)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at
