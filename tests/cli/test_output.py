"""What commands print on terminals of any kind, and into pipes."""

import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fluxrelay.cli.exits import Exit
from fluxrelay.cli.output import Output
from fluxrelay.cli.views.jobs import HEADINGS, job_row
from fluxrelay.cli.views.progress import batch_progress, clock, fields
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]
_SHOWS = """
from fluxrelay.cli.output import Output, print_anywhere
from fluxrelay.cli.views.batches import batch_line
print_anywhere()
out = Output(as_json=False)
counts = {"total": 2, "failed": 0, "canceled": 0}
out.say(batch_line({"id": "one", "status": "completed", "counts": counts, "ended_at": None}))
out.facts([("prompt", "\\u96e8 \\u2192 \\x1b[2J")])
out.rows(("status", "prompt"), [("failed", "[red]x[/red] \\x1b[2J")], title="status")
"""
BATCH = {
    "created_at": "2026-11-21T16:25:00.000Z",
    "estimated_end_at": None,
    "counts": {
        **dict.fromkeys(("queued", "submitting", "generating", "storing", "canceled"), 0),
        "total": 1000,
        "succeeded": 397,
        "failed": 3,
    },
}


def shown(columns: int | None, **variables: str) -> bytes:
    """Return what our views print on a terminal of a width, or into a pipe."""
    names = ("LANG", "LC_ALL", "PYTHONUTF8", "PYTHONIOENCODING", "NO_COLOR", "FORCE_COLOR")
    usual = {name: value for name, value in os.environ.items() if name not in names}
    environment = {**usual, "TERM": "xterm", "PYTHONPATH": str(ROOT / "client"), **variables}
    command = [sys.executable, "-c", _SHOWS]
    if columns is None:
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(command, env=environment, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        text = b""
        try:
            while part := os.read(ours, 65_536):
                text += part
        except OSError:  # how a terminal tells that all programs have closed it
            pass
        os.close(ours)
    assert process.returncode == 0, text
    return text


def test_a_terminal_gets_colours_and_a_pipe_does_not() -> None:
    """NO_COLOR takes the colours away; no text of a job commands the terminal."""
    coloured, plain, piped = shown(80), shown(80, NO_COLOR="1"), shown(None)
    assert b"\x1b[32m" in coloured
    assert b"\x1b[3" not in plain
    assert b"\x1b" not in piped
    assert b"\x1b[2J" not in coloured + plain
    assert b"[red]x[/red]" in piped


@pytest.mark.parametrize("encoding", ["ascii:strict", "latin-1", "cp1252:strict"])
def test_a_terminal_without_utf_8_gets_stand_ins(encoding: str) -> None:
    """Marks and foreign letters are shown as well as the terminal can, on pipes as well."""
    piped = shown(None, PYTHONIOENCODING=encoding)
    assert piped.startswith(b"+ completed  one")
    assert b"? -> " in piped


def test_a_bar_shows_rate_failures_and_the_time_left() -> None:
    """400 jobs of 1000 ended in 40 s: 10 a second, and a minute is left."""
    at = 1_795_278_340.0
    found = fields(BATCH, at)
    assert (found["rate"], found["failures"], found["left"]) == ("10.0/s", "3 failed", "1:00 left")
    assert fields({**BATCH, "estimated_end_at": "2026-11-21T18:26:00Z"}, at)["left"] == (
        "2 h 00 min left"
    )
    assert (clock(-3), clock(61)) == ("0:00", "1:01")
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with batch_progress(console, live=True) as show:
        show(BATCH)
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[0-9;?]*\w", "", console.file.getvalue())
    assert "400/1000" in text
    assert "3 failed" in text


def test_what_is_missing_is_told_with_the_place_to_set_it(bare: Cli) -> None:
    """Without an address, and without a key, the sentence names the variable."""
    for variables, name in (
        ({}, "FLUXRELAY_URL"),
        ({"FLUXRELAY_URL": "http://x"}, "FLUXRELAY_KEY"),
    ):
        done = bare("list", **variables)
        assert (done.code, name in done.err) == (Exit.USAGE, True)
    assert bare("--version").out.startswith("fluxrelay ")


def test_a_shell_is_given_completions(bare: Cli) -> None:
    """Asked as bash asks, the command names those of its commands that fit."""
    variables = {"COMP_WORDS": "fluxrelay li", "COMP_CWORD": "1"}
    done = bare(_FLUXRELAY_COMPLETE="complete_bash", **variables)
    assert done.out.split() == ["list", "link", "listen"]


@pytest.mark.parametrize(("columns", "is_table"), [(80, True), (120, True), (60, False)])
def test_a_listed_job_is_a_line_on_a_terminal_that_fits_one(columns: int, is_table: bool) -> None:
    """Only the prompt is cut; a terminal too narrow for that shows the cells below each other."""
    job: dict[str, Any] = {
        "created_at": "2026-11-21T16:25:00.000Z",
        "status": "succeeded",
        "id": "01a220b9-f4b8-70d3-8023-18b62b168314",
        "model": "flux-pro-1.1",
        "input": {"prompt": "a fox " * 40},
    }
    out = Output(as_json=False)
    text = io.StringIO()
    out.console = Console(file=text, force_terminal=True, width=columns, color_system=None)

    out.rows(HEADINGS, [job_row(job)] * 2, title="id", cut=True)

    shown = text.getvalue().splitlines()
    assert sum(job["id"] in line for line in shown) == 2
    assert max(map(len, shown)) <= columns
    assert (len(shown) == 4) == is_table
