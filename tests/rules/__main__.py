"""`python -m tests.rules [NAME...]`: take each rule of recovery away and see a test fail.

With --markdown it prints the table of rules for the documents instead. Exits 1 where a rule is
not held, 2 where the tests fail with all rules in place.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

from tests.rules.mutation import Copy, Verdict, copy, named_tests, shares
from tests.rules.rule import LISTS, Rule, chosen, markdown, read_rules


def main(arguments: list[str]) -> int:
    """Judge rules; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.rules")
    parser.add_argument("names", nargs="*", help="rules to look at; without any, all")
    parser.add_argument("--markdown", action="store_true", help="print the table and do no more")
    parser.add_argument("--lists", type=Path, default=LISTS, help="the folder of the lists")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="rules at a time")
    options = parser.parse_args(arguments)
    rules = chosen(read_rules(options.lists), options.names)
    if options.markdown:
        _say(markdown(rules))
        return 0
    tests = named_tests(rules)
    jobs = max(1, min(options.jobs, len(rules)))
    with ExitStack() as stack:
        copies = [stack.enter_context(copy(tests)) for _ in range(jobs)]
        threads = stack.enter_context(ThreadPoolExecutor(jobs))
        whole = list(threads.map(Copy.run, copies, shares(tests, jobs)))
        if broken := [run for run in whole if run.returncode]:
            for run in broken:
                _say(f"Tests fail with all rules in place:\n{run.stdout}{run.stderr}")
            return 2
        lost = _judge(rules, copies, threads)
    _say(f"{len(rules) - lost} of {len(rules)} rules are held")
    return 1 if lost else 0


def _judge(rules: Sequence[Rule], copies: Sequence[Copy], threads: ThreadPoolExecutor) -> int:
    """Judge each rule in whichever copy is free; return how many are not held."""
    free: SimpleQueue[Copy] = SimpleQueue()
    for copied in copies:
        free.put(copied)

    def judge(rule: Rule) -> Verdict:
        copied = free.get()
        try:
            return copied.judge(rule)
        finally:
            free.put(copied)

    lost = 0
    for number, (rule, verdict) in enumerate(zip(rules, threads.map(judge, rules), strict=True), 1):
        lost += not verdict.held
        _say(f"{number:3}/{len(rules)}  {rule.name}: {verdict.words}")
    return lost


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
