"""The house's own rules, as far as a test can hold them."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "core",
    "service",
    "worker",
    "sandbox",
    "stack",
    "chaos",
    "benchmarks",
    "client",
    "tests",
)
LONGEST_FILE = 300  # lines
LONGEST_FUNCTION = 40  # lines, docstring and blank lines left out
MOST_FILES = 12  # modules of one folder, its sub-packages apart


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (ROOT / folder).rglob("*.py")
        yield from (ROOT / folder).rglob("*.lua")


def test_no_file_is_longer_than_one_sitting() -> None:
    """Every file has 300 lines at most."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in _files()}

    assert {str(path): size for path, size in sizes.items() if size > LONGEST_FILE} == {}


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    documented = range(first.lineno, (first.end_lineno or 0) + 1) if is_docstring else range(0)
    numbers = range(function.lineno, (function.end_lineno or 0) + 1)
    return sum(1 for n in numbers if n not in documented and lines[n - 1].strip())


def test_no_function_is_longer_than_a_screen() -> None:
    """Every function has 40 lines at most."""
    long: dict[str, int] = {}
    for path in _files():
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = _length(node, text.splitlines())
                    if length > LONGEST_FUNCTION:
                        long[f"{path.relative_to(ROOT)}:{node.name}"] = length

    assert long == {}


def test_no_room_is_crowded() -> None:
    """Every folder of source has 12 modules at most beside its sub-packages."""
    crowded: dict[str, int] = {}
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("__init__.py"):
            modules = len(list(path.parent.glob("*.py")))
            if folder != "tests" and modules > MOST_FILES:
                crowded[str(path.parent.relative_to(ROOT))] = modules

    assert crowded == {}


_IMPORT_ALL = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "os.mkdir", "subprocess.Popen"):
        raise RuntimeError(f"an import did {event}: {arguments}")
sys.addaudithook(refuse)
import importlib
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def test_imports_do_nothing() -> None:
    """No module connects, resolves, starts or makes anything when it is imported."""
    folders = ("core", "service", "worker", "sandbox", "client/fluxrelay")
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("client.")
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if path.name not in ("__main__.py", "__init__.py")
    ]
    command = [sys.executable, "-B", "-c", _IMPORT_ALL, *modules]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "client"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_no_process_that_serves_loads_the_command_lines_libraries() -> None:
    """Neither the service nor a worker loads typer or rich, not even through httpx."""
    for entry in ("service.__main__", "worker.__main__"):
        program = f"import sys, {entry}; print({{'rich', 'typer', 'pygments'}} & set(sys.modules))"
        command = [sys.executable, "-B", "-c", program]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

        assert (done.stdout, done.stderr) == ("set()\n", ""), entry


def test_make_has_nothing_to_warn_of() -> None:
    """No target has two recipes, of which make would take one and say so at each call."""
    # Not the variables of the make that may run this test, for they change what is said.
    done = subprocess.run(
        ["make", "help"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("folder", [".", "client"])
def test_the_architecture_holds(folder: str) -> None:
    """All import contracts of both pyproject.toml are kept."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT / folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
