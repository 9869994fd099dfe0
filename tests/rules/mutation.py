"""Takes rules away, one at a time, in a copy of the project, and runs the tests that hold them."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.rules.rule import ROOT, Rule
from tests.rules.shared_seaweed import PLUGIN, lent

#: What the product and its tests are made of; not taken from git, which may not be there.
_COPIED: Final = ("core", "service", "worker", "sandbox", "stack", "tests", "pyproject.toml")
#: Seconds for one test; those of one rule get twice as long.
_TEST_TIMEOUT: Final = 60
#: Signs that not a rule was taken away, but the code was made no code.
_BROKEN: Final = re.compile(
    r"^E .*(?:SyntaxError|IndentationError|NameError|UnboundLocalError|ImportError"
    r"|Error compiling script|nonexistent global)",
    re.MULTILINE,
)
_FAILED: Final = re.compile(r"^FAILED (\S+?::.+?)(?: - (.*))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the tests without a rule."""

    held: bool
    words: str


class Copy:
    """A copy of the project that may be spoilt.

    Args:
        folder: Where to.
        environment: Variables for its tests, besides this process's own.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        # Bytecode is told from its source by time and size, which a rule may not change.
        fixed = {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "300"}
        self._environment = {**os.environ, **fixed, **environment}
        for name in _COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, folder / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, folder / name)

    def run(
        self, tests: Iterable[str], timeout: float | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run tests up to the first that fails, within so many seconds."""
        plugins = ("-p", "no:cacheprovider", "-p", PLUGIN)
        options = ("-x", "-q", "-rfE", f"--timeout={_TEST_TIMEOUT}", *plugins)
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    @contextmanager
    def without(self, rule: Rule) -> Iterator[None]:
        """Have the copy be without a rule for a while."""
        path = self._folder / rule.file
        whole = path.read_text(encoding="utf-8")
        path.write_text(rule.without(whole), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(whole, encoding="utf-8")

    def judge(self, rule: Rule) -> Verdict:
        """Take a rule away and see whether one of its tests fails, and fails as a test does."""
        try:
            with self.without(rule):
                done = self.run(rule.tests, timeout=2 * _TEST_TIMEOUT)
        except subprocess.TimeoutExpired:
            return Verdict(held=False, words="NOT HELD, for its tests do not end without it")
        if done.returncode == 0:
            return Verdict(held=False, words="NOT HELD")
        failed = _FAILED.search(done.stdout)
        broken = _BROKEN.search(done.stdout)
        if broken or not failed:
            what = broken[0] if broken else done.stdout[-2000:] + done.stderr[-2000:]
            return Verdict(held=False, words=f"NOT HELD, for the code is no code then: {what}")
        return Verdict(held=True, words=f"held by {failed[1]} ({failed[2] or 'failed'})")


@contextmanager
def copy(tests: Sequence[str]) -> Iterator[Copy]:
    """Make a copy for a while, and lend it what these tests need."""
    pure = all(test.startswith("tests/unit/") for test in tests)
    with (
        tempfile.TemporaryDirectory(prefix="rules-") as folder,
        lent(needed=not pure) as environment,
    ):
        yield Copy(Path(folder), environment)


def named_tests(rules: Iterable[Rule]) -> list[str]:
    """Return the tests that rules name, each once, sorted."""
    return sorted({test for rule in rules for test in rule.tests})


def shares(tests: Sequence[str], count: int) -> list[list[str]]:
    """Deal tests out to at most so many runs, those of one file together."""
    files: dict[str, list[str]] = {}
    for test in tests:
        files.setdefault(test.partition("::")[0], []).append(test)
    dealt: list[list[str]] = [[] for _ in range(count)]
    for named in sorted(files.values(), key=len, reverse=True):
        min(dealt, key=len).extend(named)
    return [share for share in dealt if share]
