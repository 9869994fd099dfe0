"""The programs say what they are when they are asked, and start for no argument by mistake."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pytest

import sandbox.__main__
import service.__main__
import worker.__main__

Main = Callable[[Sequence[str]], int]
#: Each program's `main`, with the variable or page that its help names.
PROGRAMS: Final[Mapping[str, tuple[Main, str]]] = {
    "service": (service.__main__.main, "docs/operations.md"),
    "worker": (worker.__main__.main, "docs/operations.md"),
    "sandbox": (sandbox.__main__.main, "sandbox/README.md"),
}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> tuple[str, Main, str]:
    """Return each program: its name, its `main`, and what its help names."""
    main, page = PROGRAMS[request.param]
    return request.param, main, page


@pytest.mark.parametrize("asked", [["--help"], ["-h"], ["submit", "--help"]])
def test_help_is_shown(
    program: tuple[str, Main, str], asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked for help, it says how it is started and where its settings stand, and ends with 0."""
    name, main, page = program

    assert main(asked) == 0

    shown = capsys.readouterr()
    assert f"python -m {name}" in shown.out
    assert page in shown.out
    assert shown.err == ""


@pytest.mark.parametrize("surplus", ["--port", "now", "--reload"])
def test_an_argument_that_means_nothing_is_refused(
    program: tuple[str, Main, str], surplus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An argument without a meaning is named, and nothing starts."""
    name, main, _ = program

    assert main(["submit", surplus] if name == "worker" else [surplus]) == 2

    assert surplus in capsys.readouterr().err
