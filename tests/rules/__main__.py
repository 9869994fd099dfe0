"""`python -m tests.rules [NAME...]`: take each rule of recovery away and see a test fail.

With --markdown it prints the table of rules for the documents instead. Exits 1 where a rule is
not held, 2 where the tests fail with all rules in place.
"""

import argparse
import sys
from pathlib import Path

from tests.rules.rule import LISTS, chosen, markdown, read_rules
from tests.rules.spoiling import copy, named_tests


def main(arguments: list[str]) -> int:
    """Judge rules; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.rules")
    parser.add_argument("names", nargs="*", help="rules to look at; without any, all")
    parser.add_argument("--markdown", action="store_true", help="print the table and do no more")
    parser.add_argument("--lists", type=Path, default=LISTS, help="the folder of the lists")
    options = parser.parse_args(arguments)
    rules = chosen(read_rules(options.lists), options.names)
    if options.markdown:
        _say(markdown(rules))
        return 0
    tests = named_tests(rules)
    with copy(tests) as copied:
        whole = copied.run(tests)
        if whole.returncode:
            _say(f"Tests fail with all rules in place:\n{whole.stdout}{whole.stderr}")
            return 2
        lost = 0
        for number, rule in enumerate(rules, 1):
            verdict = copied.judge(rule)
            lost += not verdict.held
            _say(f"{number:3}/{len(rules)}  {rule.name}: {verdict.words}")
    _say(f"{len(rules) - lost} of {len(rules)} rules are held")
    return 1 if lost else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
