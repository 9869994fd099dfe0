"""`python -m benchmarks.page [--check]`: makes `docs/performance.md` from the results of all runs.

No figure on that page is written by hand, so none can be older than its command. `--check` says
whether the page is what the results make of it.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.peers.environments import PINS
from benchmarks.report import verdicts
from benchmarks.report.outcome import Record, Row
from benchmarks.report.plots import picture_files
from benchmarks.report.view import number, ratio_text
from benchmarks.run import BEFORE_AFTER, NAMES, RESULTS
from stack.display.terminal import print_anywhere

PAGE: Final = RESULTS.parents[1] / "docs/performance.md"

_HEAD = """\
# Performance

Made by `python -m benchmarks.page` from `benchmarks/results/`; not written by hand. What it says \
of goals that are missed is from `benchmarks/report/verdicts.toml`.

Machines differ, and so do hours of the same machine. So every figure here is a ratio to something \
that was measured in the same run, by turns: a floor (the same work with nothing around it) or \
what other people use. `make bench` measures all of it again, in a quarter of an hour at most; \
`make bench ARGS="copy intake"` only those two, `make bench ARGS="--run 2"` all once more beside \
the first run. It needs no network but the package registry, for \
the peers, which it installs into `.peers` at the versions below and runs unmodified. \
Nothing else should run on the machine meanwhile.
"""
_STAND_IN = """\
The provider is the sandbox in `slots`. In the others it is `benchmarks/product/fake_outside.py`, \
which makes no image and checks nothing, and is the receiver of callbacks as well: where the \
sandbox drew images, it would be the sandbox that was measured. Its results are valid PNGs of \
noise with their `Content-MD5`, so that every check of ours has something to do. The S3 server is \
SeaweedFS, with `GOMEMLIMIT=1GiB GOGC=200`: with less memory it spends much of its time on \
collecting garbage. In `copy` and `callback` its data lie in `/dev/shm`, if that has 8 GiB free: \
as a rule an S3 server shares no disk with Redis, whose fsyncs would wait for it. Everything runs \
on the one machine described here, the load included.
"""


class Kept(NamedTuple):
    """A record, and the run that it is of."""

    run: str
    record: Record


#: By scenario, in the order of the page; each with its runs.
Results = Mapping[str, Sequence[Kept]]


def page(results: Results) -> str:
    """Return the page."""
    runs = sorted({kept.run for each in results.values() for kept in each}, key=int)
    goals = _goals(results, runs) if results else "Nothing was measured yet.\n"
    parts = [_HEAD, "## Goals\n", goals, *_missed(results), "## How\n", _STAND_IN]
    parts += [_machine(results), _peers(), *map(_section, results.values())]
    return "\n".join(parts)


def _goals(results: Results, runs: Sequence[str]) -> str:
    rows = []
    for name, each in results.items():
        for row, found in _beside(each):
            if row.met is not None:
                cells = [_cell(found[run]) if run in found else "" for run in runs]
                what = f"{row.what}, against {row.other}" if row.other else row.what
                rows.append([f"[{name}](#{name})", what, row.goal, *cells, _met(found)])
    return _table([["scenario", "what", "goal", *(f"run {run}" for run in runs), "met"], *rows])


def _beside(each: Sequence[Kept]) -> list[tuple[Row, dict[str, Row]]]:
    """Return each row of a scenario once, with what every run says there."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for kept in each:
        for row in kept.record.outcome.rows:
            found.setdefault((row.what, row.other), {})[kept.run] = row
    return [(next(iter(rows.values())), rows) for rows in found.values()]


def _cell(row: Row) -> str:
    if row.against is None:
        return f"{number(row.ours)} {row.unit}".strip()
    return f"{ratio_text(row)} ({number(row.ours)} : {number(row.against)} {row.unit})"


def _met(found: Mapping[str, Row]) -> str:
    met = [bool(row.met) for row in found.values()]
    return "yes" if all(met) else f"{sum(met)} of {len(met)}" if any(met) else "no"


def missed(results: Results) -> dict[str, list[str]]:
    """Return which goals a run missed, by scenario."""
    found = {
        name: [
            row.what for row, rows in _beside(each) if any(r.met is False for r in rows.values())
        ]
        for name, each in results.items()
    }
    return {name: goals for name, goals in found.items() if goals}


def _missed(results: Results) -> list[str]:
    found, words = missed(results), verdicts.read()
    parts = ["## Goals that are missed\n"] if found else []
    for name, goals in found.items():
        said = words[name].text if name in words else "Nothing is said of it yet.\n"
        parts.append(f"**[{name}](#{name})**: {'; '.join(dict.fromkeys(goals))}.\n\n{said}")
    return parts


def _machine(results: Results) -> str:
    records = [kept.record for each in results.values() for kept in each]
    if not records:
        return ""
    latest = max(records, key=lambda record: record.started_at)
    hidden = ("shared", "busy before")  # they are of each scenario
    facts = [[name, text] for name, text in latest.machine.items() if name not in hidden]
    rows = [["machine", ""], *facts]
    return _table(rows)


def _peers() -> str:
    rows = [[name, ", ".join(f"`{pin}`" for pin in pins)] for name, pins in PINS.items()]
    return _table([["environment", "installed into it"], *rows])


def _section(each: Sequence[Kept]) -> str:
    run, record = each[-1]
    outcome = record.outcome
    rows = [
        [
            row.what,
            row.other,
            row.goal,
            *(_cell(found[k.run]) if k.run in found else "" for k in each),
        ]
        for row, found in _beside(each)
    ]
    parts = [f"## {record.name}\n", f"**{outcome.title}.** {outcome.about}\n"]
    parts += [_table([["what", "against", "goal", *(f"run {kept.run}" for kept in each)], *rows])]
    parts += [f"{caption}:\n\n{_table(table)}" for caption, table in outcome.tables.items()]
    if outcome.notes:
        parts.append("".join(f"- {note}\n" for note in outcome.notes))
    for plot, file in zip(outcome.plots, picture_files(record, RESULTS / run), strict=True):
        parts.append(f"![{plot.title}](../benchmarks/results/{run}/{file.name})\n")
    if len(each) > 1:
        parts.append(f"Notes and pictures are of run {run}.\n")
    return "\n".join([*parts, "".join(map(_command, each))])


def _command(kept: Kept) -> str:
    record = kept.record
    quick = " A quick run: these figures mean nothing." if record.quick else ""
    shared = record.machine["shared"] == "yes"
    warning = " **Something else ran when it began: rather measure again.**" if shared else ""
    return (
        f"- Run {kept.run}: `{record.command}`, {record.started_at}, {record.seconds:.0f} s, cores "
        f"busy before: {record.machine['busy before']}.{quick}{warning}\n"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def read(folder: Path = RESULTS) -> dict[str, list[Kept]]:
    """Return the results there are: a folder per run, by its number."""
    names = [each.name for each in folder.glob("*") if each.name.isdigit()]
    runs = sorted(names, key=int)
    results = {
        name: [
            Kept(run, Record.read(file))
            for run in runs
            if (file := folder / run / f"{name}.json").exists()
        ]
        for name in (*NAMES, BEFORE_AFTER)
    }
    return {name: each for name, each in results.items() if each}


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    print_anywhere()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    made = page(read())
    if parser.parse_args(arguments).check:
        return 0 if PAGE.read_text(encoding="utf-8") == made else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
