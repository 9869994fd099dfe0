"""Logs as JSON lines on standard error: fixed event names, identifiers as fields, no secrets."""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from core.timestamps import milliseconds

#: A field whose name contains one of these is never logged.
_HIDDEN = ("secret", "password", "authorization", "x-key", "api_key", "token")
#: Characters of a traceback that are logged; its end matters most.
_LONGEST_TRACEBACK: Final = 16_384
_encode: Final = json.JSONEncoder(default=str).encode


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": milliseconds(record.created),
            "level": _level(record.levelname),
            "event": record.getMessage(),
            "logger": record.name,
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)[-_LONGEST_TRACEBACK:]
        return _encode(line)


class _Handler(logging.StreamHandler[Any]):
    """Writes the log lines of one event loop turn together, at its end.

    A busy loop handles dozens of requests per turn, and each write is a system call that blocks all
    of them. Lines from threads, and warnings, are written at once.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        #: The loop that is scheduled to flush.
        self._loop: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or buffer it until the turn ends."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            loop = _running_loop()
            if loop is None or record.levelno >= logging.WARNING:
                self.flush()
            elif loop is not self._loop:
                self._loop = loop
                loop.call_soon(self.flush)
        except Exception:  # noqa: BLE001 - a logging failure must not end the work it reports
            self.handleError(record)

    def flush(self) -> None:
        """Write the buffered lines."""
        self.acquire()
        try:
            lines, self._lines, self._loop = self._lines, [], None
            if lines:
                self.stream.write("".join(lines))
            super().flush()
        finally:
            self.release()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def set_up(level: str = "INFO") -> None:
    """Send all log lines of this process to standard error as JSON."""
    handler = _Handler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Our lines contain none of these, and collecting them costs more than writing the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for noisy in ("httpx", "httpcore", "botocore", "boto3", "urllib3", "rq", "s3transfer", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def event_of_injected(names: Sequence[str]) -> None:
    """Tell of variables that were ignored, for Kubernetes set them and not the operator."""
    if names:
        reason = "set by Kubernetes for a Service of that name; enableServiceLinks: false ends it"
        logger = logging.getLogger("settings")
        event(logger, "settings.ignored", logging.WARNING, variables=list(names), reason=reason)


def event_of_unknown(names: Mapping[str, str]) -> None:
    """Tell of variables that name no setting: each may be a slip of the pen.

    Args:
        names: Each with the name of the setting that it is nearest to, "" where none is near.
    """
    for name, nearest in names.items():
        reason = f"no setting has this name; is it {nearest}?" if nearest else "no such setting"
        logger = logging.getLogger("settings")
        event(logger, "settings.unknown", logging.WARNING, variable=name, reason=reason)


def event(logger: logging.Logger, name: str, /, level: int = logging.INFO, **fields: Any) -> None:
    """Log one line: a static event name and its fields.

    Fields whose names suggest a secret are dropped.
    """
    if logger.isEnabledFor(level):
        logger.handle(_record(logger, name, level, fields))


def crash(logger: logging.Logger, name: str, error: BaseException, /, **fields: Any) -> None:
    """Log an unexpected error as `event` does, with its traceback.

    The traceback holds the error's text and lines of code, but no values of variables.
    """
    record = _record(logger, name, logging.ERROR, fields)
    record.exc_info = (type(error), error, error.__traceback__)
    logger.handle(record)


def _record(
    logger: logging.Logger, name: str, level: int, fields: dict[str, Any]
) -> logging.LogRecord:
    # Built here, because `Logger.makeRecord` looks up the calling line of code.
    record = logging.LogRecord(logger.name, level, "", 0, name, None, None)
    record.fields = {
        key: value for key, value in fields.items() if value is not None and not _is_hidden(key)
    }
    return record


@lru_cache(maxsize=16)
def _level(name: str) -> str:
    return name.lower()


@lru_cache(maxsize=512)
def _is_hidden(key: str) -> bool:
    return any(part in key.lower() for part in _HIDDEN)
