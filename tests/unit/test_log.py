"""Log lines are JSON, and hold no secret."""

import io
import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from core import log

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Set logging up as a process does; return a function that reads what was written."""
    written = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        log.set_up()
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


LOGGER = logging.getLogger("tests.unit.log")


def test_a_line_is_json_with_its_fields(lines: Lines) -> None:
    """Event, level, time and fields stand in one object per line."""
    log.event(LOGGER, "job.collected", logging.WARNING, job_id="1", bytes=5, moved=False)

    (line,) = lines()
    assert line.pop("at")
    assert line == {
        "level": "warning",
        "event": "job.collected",
        "logger": "tests.unit.log",
        "job_id": "1",
        "bytes": 5,
        "moved": False,
    }


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "webhook_secret",
        "WebhookSecret",
        "password",
        "redis_PASSWORD",
        "authorization",
        "x-key",
        "api_key",
        "bfl_api_key",
        "token",
        "session_token",
    ],
)
def test_fields_named_for_a_secret_are_left_out(lines: Lines, name: str) -> None:
    """Whatever its value, such a field is not written."""
    fields: dict[str, Any] = {name: "hunter2"}

    log.event(LOGGER, "event", job_id="1", **fields)

    (line,) = lines()
    assert "hunter2" not in json.dumps(line)
    assert line["job_id"] == "1"


def test_empty_fields_are_left_out_and_zeros_are_not(lines: Lines) -> None:
    """None is no value; 0, False and "" are."""
    log.event(LOGGER, "event", nothing=None, zero=0, no=False, empty="")

    (line,) = lines()
    assert "nothing" not in line
    assert (line["zero"], line["no"], line["empty"]) == (0, False, "")


def test_a_line_break_cannot_forge_a_line(lines: Lines) -> None:
    """What others chose stays inside its field, and any text can be written."""
    log.event(LOGGER, "event", path='a\n{"event": "forged"}', odd="\ud800", thing=object)

    (line,) = lines()
    assert line["path"] == 'a\n{"event": "forged"}'
    assert line["odd"] == "\ud800"


def test_an_exception_stands_in_its_line(lines: Lines) -> None:
    """A traceback is a field, not lines of its own."""
    try:
        json.loads("no JSON")
    except ValueError:
        LOGGER.exception("broke")

    (line,) = lines()
    assert "JSONDecodeError: Expecting" in str(line["exception"])


def test_libraries_are_quiet(lines: Lines) -> None:
    """What clients tell of each request, URLs and signatures among it, is not written."""
    for name in ("httpx", "httpcore", "botocore", "urllib3", "rq"):
        logging.getLogger(f"{name}.some.part").info("GET https://example.com/?sig=secret")

    assert lines() == []
