"""`python -m benchmarks.page [--check]`: makes `docs/performance.md` from the results.

Nothing on that page is written by hand, so no figure can be older than its command. `--check`
says whether the page is what the results make of it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.outcome import Record
from benchmarks.peers.environments import PINS
from benchmarks.plots import picture_files
from benchmarks.run import NAMES, RESULTS
from benchmarks.view import number, ratio_text

PAGE: Final = RESULTS.parents[1] / "docs/performance.md"

_HEAD = """\
# Performance

Made by `python -m benchmarks.page` from `benchmarks/results/`; not written by hand.

Machines differ, and so do hours of the same machine. So every figure here is a ratio to something \
that was measured in the same run, by turns: a floor (the same work with nothing around it) or \
what other people use. `make bench` measures all of it again, in a quarter of an hour at most; \
`make bench ARGS="copy intake"` only those two. It needs no network but the package registry, for \
the peers, which it installs into `.peers` at the versions below and runs unmodified. \
Nothing else should run on the machine meanwhile.
"""
_STAND_IN = """\
The provider is the sandbox in `slots`. In the others it is `benchmarks/far_side.py`, which makes \
no image and checks nothing, and is the receiver of callbacks as well: where the sandbox drew \
images, it would be the sandbox that was measured. Its results are valid PNGs of noise with their \
`Content-MD5`, so that every check of ours has something to do. Everything runs on the one \
machine described here, the load included.
"""


def page(records: Sequence[Record]) -> str:
    """Return the page."""
    goals = _goals(records) if records else "Nothing was measured yet.\n"
    parts = [_HEAD, "## Goals\n", goals, "## How\n", _STAND_IN, _machine(records)]
    parts += [_peers(), *map(_section, records)]
    return "\n".join(parts)


def _goals(records: Sequence[Record]) -> str:
    rows = [
        [
            f"[{record.name}](#{record.name})",
            row.what,
            f"{number(row.ours)} {row.unit}".strip(),
            f"{number(row.against)} ({row.other})" if row.against is not None else "",
            ratio_text(row),
            row.goal,
            "yes" if row.met else "no",
        ]
        for record in records
        for row in record.outcome.rows
        if row.met is not None
    ]
    head = ["scenario", "what", "ours", "against", "ratio", "goal", "met"]
    return _table([head, *rows])


def _machine(records: Sequence[Record]) -> str:
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


def _section(record: Record) -> str:
    outcome = record.outcome
    rows = [
        [
            row.what,
            f"{number(row.ours)} {row.unit}".strip(),
            f"{number(row.against)} {row.unit}".strip() if row.against is not None else "",
            row.other,
            ratio_text(row),
            row.goal,
        ]
        for row in outcome.rows
    ]
    parts = [f"## {record.name}\n", f"**{outcome.title}.** {outcome.about}\n"]
    parts += [_table([["what", "ours", "against", "of", "ratio", "goal"], *rows])]
    parts += [f"{caption}:\n\n{_table(table)}" for caption, table in outcome.tables.items()]
    if outcome.notes:
        parts.append("".join(f"- {note}\n" for note in outcome.notes))
    for plot, file in zip(outcome.plots, picture_files(record, RESULTS), strict=True):
        parts.append(f"![{plot.title}](../benchmarks/results/{file.name})\n")
    quick = " A quick run: these figures mean nothing." if record.quick else ""
    if record.machine["shared"] == "yes":
        parts.append(
            "**Something else ran on this machine when this began: rather measure again.**\n"
        )
    parts.append(
        f"`{record.command}`, {record.started_at}, {record.seconds:.0f} s, cores busy before: "
        f"{record.machine['busy before']}.{quick}\n"
    )
    return "\n".join(parts)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def read(folder: Path = RESULTS) -> list[Record]:
    """Return the records there are, in the order of the page."""
    files = [folder / f"{name}.json" for name in NAMES]
    return [Record.read(file) for file in files if file.exists()]


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    made = page(read())
    if parser.parse_args(arguments).check:
        return 0 if PAGE.read_text(encoding="utf-8") == made else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
