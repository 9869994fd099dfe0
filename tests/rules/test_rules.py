"""The list of rules fits the code, and the runner tells a rule that is held from one that is not.

`make rules` takes all rules away, one at a time; that takes too long to be done here.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import redis

from core.redis.scripts import SHARED
from tests.rules.mutation import named_tests, shares
from tests.rules.rule import ROOT, Rule, markdown, read_rules

RULES = read_rules()
LUA = ROOT / "core" / "redis" / "lua"
PAGE = ROOT / "docs" / "reliability.md"
#: Rules that are held by tests without servers.
QUICK = ("one-callback-finds-out", "a-link-says-when-it-dies")


def _ids(rule: Rule) -> str:
    return rule.name


def test_names_are_unique() -> None:
    """A rule can be asked for by its name."""
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("rule", RULES, ids=_ids)
def test_a_rule_stands_where_the_list_says(rule: Rule) -> None:
    """Its text is in its file once, and without it the file is another one, and still code."""
    text = (ROOT / rule.file).read_text(encoding="utf-8")

    spoilt = rule.without(text)

    assert spoilt != text
    if rule.file.endswith(".py"):
        compile(spoilt, rule.file, "exec")
    assert rule.tests
    assert rule.purpose.endswith(".")
    assert "|" not in rule.purpose


def test_without_a_rule_a_script_is_still_a_script(redis_client: "redis.Redis") -> None:
    """What fails without a rule fails for want of the rule, and not of an `end`."""
    shared = [LUA / name for name in SHARED]
    for rule in RULES:
        path = ROOT / rule.file
        if path.parent != LUA:
            continue
        parts = shared[: shared.index(path)] if path in shared else shared
        before = "".join(part.read_text(encoding="utf-8") for part in parts)
        spoilt = rule.without(path.read_text(encoding="utf-8"))
        assert len(str(redis_client.script_load(before + spoilt))) == 40


def test_every_named_test_is_there() -> None:
    """Pytest finds each of them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *named_tests(RULES)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.rules", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_rule_that_is_held_is_told_by_its_test() -> None:
    """Taken away, each of these two makes its test fail."""
    done = _run(*QUICK)

    assert done.returncode == 0, done.stdout + done.stderr
    for rule in RULES:
        if rule.name in QUICK:
            assert f"{rule.name}: held by {rule.tests[0]}" in done.stdout
    assert "2 of 2 rules are held" in done.stdout


def test_a_rule_that_no_test_holds_is_told(tmp_path: Path) -> None:
    """One that makes no difference, and one whose removal breaks the code: neither is held."""
    test = "tests/unit/test_retry.py::test_many_tries_do_not_overflow"
    common = f'file = "worker/clients/backoff.py"\npurpose = "p."\ntests = ["{test}"]\n'
    lines = {
        "idle": ('find = "capped, with jitter."', 'replace = "capped."'),
        "broken": ('find = "    full = min(longest"', 'replace = "    full = mini(longest"'),
    }
    entries = [
        "\n".join(("[[rule]]", f'name = "{name}"', *texts, common)) for name, texts in lines.items()
    ]
    (tmp_path / "list.toml").write_text("\n".join(('area = "a"', *entries)), encoding="utf-8")

    done = _run("--lists", str(tmp_path))

    assert done.returncode == 1, done.stdout + done.stderr
    assert "idle: NOT HELD\n" in done.stdout
    assert "broken: NOT HELD, for the code is no code then" in done.stdout
    assert "0 of 2 rules are held" in done.stdout


def test_a_share_keeps_a_file_together_and_is_never_empty() -> None:
    """Two runs of one file would start its servers twice, and a run of nothing would run all."""
    tests = ["a.py::one", "a.py::two", "b.py::one"]

    assert shares(tests, 2) == [["a.py::one", "a.py::two"], ["b.py::one"]]
    assert shares(tests, 3) == [["a.py::one", "a.py::two"], ["b.py::one"]]
    assert shares(tests, 1) == [tests]


def test_the_page_has_the_rules() -> None:
    """The table in the documents is the list; `python -m tests.rules --markdown` prints it."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.split("<!-- rules: begin -->\n", 1)[1].split("<!-- rules: end -->", 1)[0]
    assert table == markdown(RULES) + "\n", "run: python -m tests.rules --markdown"
