"""`python -m benchmarks [NAME…] [--run N] [--quick] [--out FOLDER]`: all scenarios, or some."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.probes.context import Context
from benchmarks.report.view import Display, print_table
from benchmarks.run import NAMES, PEERS, RESULTS, module, run_all
from stack.commands.interruption import exit_on_signals
from stack.display.terminal import print_anywhere

_WIDTH = 150


def main(arguments: list[str]) -> int:
    """Run scenarios and print what they found; 1 where one did not come to its end."""
    print_anywhere()
    chosen = _parser().parse_args(arguments)
    exit_on_signals()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)  # a log has room
    names = [name for name in NAMES if name in chosen.names or not chosen.names]
    with Display(console, len(names)) as display:
        context = Context(quick=chosen.quick, peers=PEERS, say=display.say, run=chosen.run)
        records = run_all(names, context, display, chosen.out or RESULTS / str(chosen.run))
    print_table(console, records)
    if chosen.quick:
        console.print("A quick run only shows that everything works: its figures mean nothing.")
    return 0 if len(records) == len(names) else 1


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _parser() -> argparse.ArgumentParser:
    scenarios = "\n".join(f"  {name:9} {module(name).TITLE}" for name in NAMES)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures FluxRelay beside floors and peers.",
        epilog=f"scenarios:\n{scenarios}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="tiny numbers, to see that it works")
    parser.add_argument(
        "--run", type=_number, default=1, metavar="N", help="the page shows all side by side"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"default: {RESULTS}/N")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
