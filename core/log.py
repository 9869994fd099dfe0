"""Log lines as JSON on standard error: a fixed event name, identifiers as fields, no secrets."""

import json
import logging
import sys
import time
from typing import Any

#: Parts of a field's name that mark its value as one never to be written down.
_HIDDEN = ("secret", "password", "authorization", "x-key", "api_key", "token")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up(level: str = "INFO") -> None:
    """Send every log line of this process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("httpx", "httpcore", "botocore", "boto3", "urllib3", "rq", "s3transfer", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def event(logger: logging.Logger, name: str, /, level: int = logging.INFO, **fields: Any) -> None:
    """Write one line: what happened (`name`, static) and to what (`fields`).

    A field whose name speaks of a secret is left out, whatever its value.
    """
    kept = {
        key: value
        for key, value in fields.items()
        if value is not None and not any(part in key.lower() for part in _HIDDEN)
    }
    logger.log(level, name, extra={"fields": kept})
