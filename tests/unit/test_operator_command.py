"""What the operator's command says of itself, of bad arguments, and how its tables fit."""

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from worker.__main__ import main as worker_main
from worker.commands.dead_letters import main

ROOT = Path(__file__).resolve().parents[2]
JOB = "01a1feec-e663-77f8-ba48-1ab172ecb481"
_SHOWS = f"""
from worker.commands.output import say_rows
headings = ("since", "code", "job", "message")
message = "[red]the bucket[/red] said \\x1b[2J " + "no " * 40 + "end"
say_rows(headings, [("2026-11-21T16:25:01.903Z", "storage_failed", "{JOB}", message)], title="job")
"""
_LISTS = "import sys, worker.__main__; sys.exit(worker.__main__.main(sys.argv[1:]))"


def on_a_terminal(columns: int, program: str, *arguments: str) -> list[str]:
    """Return the lines that a program shows on a terminal of that width, without styles."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm"}
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=its, stdout=its, stderr=its
    ) as process:
        os.close(its)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # how a terminal tells that all programs have closed it
            pass
        os.close(ours)
    assert process.returncode in {0, 2}, shown
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()


def piped(program: str) -> list[str]:
    """Return the lines that a program writes into a pipe."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize("arguments", [(), ("list",), ("retry",), ("callback",), ("dismiss",)])
def test_help_names_what_there_is(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command's help ends with 0, and names the commands or options, without colours."""
    assert main([*arguments, "--help"]) == 0

    shown = capsys.readouterr().out
    names = ("--tenant", "--code", "--limit") if arguments else ("list", "retry", "dismiss")
    assert [name in shown for name in names] == [True] * 3
    assert f"python -m worker dead-letters {' '.join(arguments)}".rstrip() in shown
    assert "\x1b" not in shown


def test_the_workers_help_names_the_roles_and_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`python -m worker --help` is no unknown role."""
    assert worker_main(["--help"]) == 0
    assert "submit, collect, notify or sweep" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing command"),
        (("lst",), "Did you mean 'list'"),
        (("list", "--limit", "0"), "'--limit'"),
        (("list", "--limit", "many"), "'--limit'"),
        (("list", "--cursor", "x"), "'--cursor': not what an earlier list ended with"),
        (("list", "--code", "unlucky"), "'storage_failed'"),
        (("list", "--tennant", "x"), "--tenant"),
        (("retry",), "--id, --all: give one of them"),
        (("retry", "--all", "--id", JOB), "--id, --all: give one of them"),
        (("dismiss", "--all"), "'--kind'"),
    ],
)
def test_bad_arguments_are_told(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2, and standard error says what is wrong, before a setting is read."""
    assert main(arguments) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert "Traceback" not in shown.err


def test_an_empty_id_is_not_all(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--id "$UNSET" --all` is refused: an empty id is an id."""
    monkeypatch.setattr(os, "environ", {})
    assert main(["retry", "--all", "--id", ""]) == 2
    assert "not both" in capsys.readouterr().err


def test_a_pipe_gets_a_line_for_each_row() -> None:
    """Columns are aligned by spaces, the message is cut, and nothing is meant for a terminal."""
    heading, row = piped(_SHOWS)

    assert heading.split() == ["since", "code", "job", "message"]
    assert row.startswith(f"2026-11-21T16:25:01.903Z  storage_failed  {JOB}  [red]the bucket")
    assert row.index(JOB) == heading.index("job")
    assert not row.endswith("end")
    assert "\x1b" not in row


@pytest.mark.parametrize("columns", [200, 110])
def test_a_wide_terminal_gets_a_table(columns: int) -> None:
    """It fits, only the message is wrapped, and markup means nothing."""
    lines = on_a_terminal(columns, _SHOWS)

    assert max(map(len, lines)) <= columns
    assert [JOB in line and "storage_failed" in line for line in lines].count(True) == 1
    assert "[red]the bucket[/red]" in " ".join(" ".join(lines).split())
    assert " ".join(lines).split()[-1] == "end"


@pytest.mark.parametrize("columns", [80, 30])
def test_a_narrow_terminal_gets_the_rows_below_each_other(columns: int) -> None:
    """A job's id stays whole, so that it can be copied; nothing is lost."""
    lines = on_a_terminal(columns, _SHOWS)
    text = " ".join(" ".join(lines).split())

    assert "".join(lines).count(JOB) == 1
    assert text.count("no ") == 40
    assert "storage_failed" in text
    assert text.endswith("end")


@pytest.mark.parametrize(("arguments", "said"), [("list --help", "--tenant"), ("retry", "--all")])
def test_on_a_terminal_help_and_errors_fit(arguments: str, said: str) -> None:
    """Both are framed to its width, and name what they are about."""
    lines = on_a_terminal(50, _LISTS, "dead-letters", *arguments.split())

    assert max(map(len, lines)) <= 50
    assert said in " ".join(lines)
    assert "╰" in lines[-1] + lines[-2]
    assert "Traceback" not in " ".join(lines)


def test_a_reader_that_is_gone_ends_it_without_a_traceback() -> None:
    """`list --help | true` says nothing of broken pipes."""
    ours, its = os.pipe()
    os.close(ours)
    command = [sys.executable, "-c", _LISTS, "dead-letters", "list", "--help"]
    done = subprocess.run(command, cwd=ROOT, stdout=its, stderr=subprocess.PIPE, check=False)
    os.close(its)

    assert b"Traceback" not in done.stderr, done.stderr
