"""Prints a verdict in the terminal, and writes it as JSON."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chaos.judge.judge import Finding
from chaos.judge.verdict import Verdict, job_evidence
from chaos.plan.invariants import RULES
from chaos.plan.plan import Plan

_SHOWN: Final = 10  # broken jobs in the terminal; the JSON has all of them


def show(console: Console, plan: Plan, verdict: Verdict) -> None:
    """Print the table, and the first broken rules with the evidence about their jobs."""
    console.print(_what_happened(plan, verdict))
    console.print(_how_they_ended(verdict))
    console.print(_what_held(verdict))
    if not verdict.in_time:
        console.print("Time limit reached: judged unfinished", style="red")
    for found in verdict.findings[:_SHOWN]:
        of = f"job {found.number}" if found.number is not None else "the run"
        console.print(Text(f"{found.rule}: {of}: {found.text}", style="red"))
    if len(verdict.findings) > _SHOWN:
        console.print(f"... and {len(verdict.findings) - _SHOWN} more, in the JSON")


def _what_happened(plan: Plan, verdict: Verdict) -> Table:
    title = f"Seed {plan.seed}: what happened in {verdict.seconds:.0f} s"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("what", min_width=26)
    table.add_column("count", justify="right", min_width=7)
    for name, count in verdict.counts.items():
        table.add_row(name, f"{count:,}")
    for target, count in sorted(verdict.kills.items()):
        table.add_row(f"  {target}", f"{count:,}")
    return table


def _how_they_ended(verdict: Verdict) -> Table:
    table = Table(title="How accepted jobs ended", title_justify="left")
    table.add_column("end", min_width=26)
    table.add_column("jobs", justify="right")
    table.add_column("expected", justify="right")
    table.add_column("unexpected", justify="right")
    for end, (count, right) in verdict.ends.items():
        table.add_row(end, f"{count:,}", f"{right:,}", f"{count - right:,}")
    return table


def _what_held(verdict: Verdict) -> Table:
    table = Table(title="What must be 0", title_justify="left")
    table.add_column("rule", min_width=12)
    table.add_column("broken", justify="right")
    table.add_column("a job that")
    for rule, count in verdict.broken.items():
        style = "red" if count else ""
        table.add_row(rule, f"{count:,}", RULES[rule], style=style)
    return table


def write(path: Path, plan: Plan, verdict: Verdict) -> None:
    """Write the verdict, with all evidence about each job that broke a rule."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(plan, verdict), indent=1) + "\n", encoding="utf-8")


def document(plan: Plan, verdict: Verdict) -> dict[str, Any]:
    """Return everything known about a run, as JSON."""
    by_number: defaultdict[int | None, list[Finding]] = defaultdict(list)
    for found in verdict.findings:
        by_number[found.number].append(found)
    return {
        "seed": plan.seed,
        "holds": verdict.holds,
        "in_time": verdict.in_time,
        "seconds": round(verdict.seconds, 1),
        "broken": verdict.broken,
        "ended": {end: {"jobs": n, "expected": right} for end, (n, right) in verdict.ends.items()},
        "counts": verdict.counts,
        "killed": verdict.kills,
        "deaths": [
            {
                "process": death.target,
                "at": round(death.at - verdict.began_at, 3),
                "back_at": round(death.back_at - verdict.began_at, 3),
                "planned": death.planned,
            }
            for death in verdict.deaths
        ],
        "of_the_run": [f"{found.rule}: {found.text}" for found in by_number[None]],
        "of_jobs": [
            job_evidence(case, by_number[case.job.number])
            for case in verdict.trial.cases
            if by_number[case.job.number]
        ],
        "jobs": [
            [case.job.number, case.job_id, case.end, len(case.tasks), case.resubmits]
            for case in verdict.trial.cases
        ],
    }
