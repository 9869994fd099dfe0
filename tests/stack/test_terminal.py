"""Commands on terminals without UTF-8: what cannot be shown has a stand-in, and nothing fails."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from stack.servers.fluxrelay import SOURCE_ROOT

#: Environments of terminals that know little more than ASCII.
TERMINALS: Mapping[str, Mapping[str, str]] = {
    "ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "windows-1252": {"PYTHONIOENCODING": "cp1252:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
_SHOWS = r"""
from rich.console import Console
from stack.display.terminal import print_anywhere
from stack.display.view import Check, print_checks, print_failure, print_timeline
print_anywhere()
console = Console()
signs = Check("bytes", True, "5 \u00d7 5 \u2192 \u2265 1 \u2026")
print_checks(console, [signs, Check("callback", False, "\u96e8")])
print_timeline(console, [("queued", 0.0), ("succeeded", 1.0)])
print_failure(console, "no \u2013 way", {"service": "\xfcnicode \udc80"})
"""


def run(terminal: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run Python on such a terminal; return how it ended."""
    unset = ("LANG", "LC_ALL", "LC_CTYPE", "PYTHONUTF8", "PYTHONIOENCODING")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=SOURCE_ROOT,
        env={**environment, "COLUMNS": "100", **TERMINALS[terminal]},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("terminal", TERMINALS)
def test_all_that_is_shown_has_a_stand_in(terminal: str) -> None:
    """Marks, bars and foreign letters are shown as well as the terminal can."""
    ended = run(terminal, "-c", _SHOWS)

    assert ended.returncode == 0, ended.stdout
    assert b"+ bytes" in ended.stdout
    assert b"x callback ?" in ended.stdout
    assert b"->" in ended.stdout
    assert b"-o" in ended.stdout
    assert b"x no " in ended.stdout


@pytest.mark.parametrize("terminal", ["ascii", "C"])
@pytest.mark.parametrize(
    "module",
    [
        *("stack", "chaos", "benchmarks", "benchmarks.page", "service", "worker", "sandbox"),
        *("worker dead-letters", "worker sweep"),
    ],
)
def test_every_command_can_say_what_it_does(module: str, terminal: str) -> None:
    """Help texts, and errors, hold signs of ours and come whole."""
    ended = run(terminal, "-m", *module.split(), *([] if module == "worker sweep" else ["--help"]))

    assert b"UnicodeEncodeError" not in ended.stdout
    assert ended.returncode == (2 if module == "worker sweep" else 0)


def test_the_demo_goes_well_on_a_terminal_without_utf_8(tmp_path: Path) -> None:
    """It ends with 0 after the job went well, its checks marked by stand-ins."""
    ended = run("ascii", "-m", "stack", "demo", "--output", str(tmp_path))

    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.count(b"\n+ ") == 6
    (picture,) = tmp_path.iterdir()
    with Image.open(picture) as opened:
        assert opened.size == (1024, 768)
