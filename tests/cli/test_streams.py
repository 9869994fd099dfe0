"""Standard streams that are closed, full, or read by somebody who has gone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fluxrelay.cli.exits import Exit
from stack.stack import Stack

ROOT = Path(__file__).parents[2]
_PROGRAM = (sys.executable, "-m", "fluxrelay.cli")
_COMMANDS = (["models"], ["models", "--json"], ["models", "flux-pro-1.1"])


def ran(relay: Stack, arguments: list[str], redirection: str) -> tuple[int, str]:
    """Return the exit code and the errors of a command whose streams a shell has redirected."""
    known = {"FLUXRELAY_URL": relay.service_url, "FLUXRELAY_KEY": relay.api_key}
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *_PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "client"), **known},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", _COMMANDS, ids=" ".join)
def test_a_full_disk_is_told(relay: Stack, arguments: list[str]) -> None:
    """In one line, as an error of whoever named the file."""
    code, errors = ran(relay, arguments, ">/dev/full")
    assert code == Exit.USAGE
    assert "Standard output cannot be written: No space left on device." in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("arguments", _COMMANDS, ids=" ".join)
def test_a_reader_that_has_gone_is_no_failed_job(relay: Stack, arguments: list[str]) -> None:
    """It ends as a program does that SIGPIPE ends, and says nothing."""
    reading, writing = os.pipe()
    os.close(reading)
    os.set_inheritable(writing, True)
    known = {"FLUXRELAY_URL": relay.service_url, "FLUXRELAY_KEY": relay.api_key}
    done = subprocess.run(
        [*_PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "client"), **known},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (Exit.UNREAD, "")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_who_closes_a_stream_wants_nothing_of_it(relay: Stack, redirection: str) -> None:
    """The command does its work, and its exit code tells of it."""
    assert ran(relay, ["models"], redirection) == (Exit.DONE, "")
    assert ran(relay, ["get", "no-such-id"], redirection)[0] == Exit.NOT_FOUND


def test_nothing_is_read_from_a_closed_input(relay: Stack) -> None:
    """It is a mistake rather than an empty prompt."""
    code, errors = ran(relay, ["submit", "-m", "flux-pro-1.1", "-p", "prompt=@-"], "<&-")
    assert (code, errors.startswith("Standard input is closed")) == (Exit.USAGE, True)
