"""The command line: `python -m chaos --jobs 2000 --seed 1 --out chaos-output`."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console

from chaos.judge.report import show, write
from chaos.judge.timeline_plot import draw
from chaos.plan.plan import make_plan
from chaos.progress import Progress
from chaos.run import run
from stack.commands.interruption import exit_on_signals
from stack.display.terminal import print_anywhere
from stack.servers.process import ProcessFailedError

_LIMIT: Final = 780.0  # seconds; start, evaluation and stop must fit into 15 minutes with it


def main(arguments: list[str]) -> int:
    """Carry out a run and return its exit code: 0 only if no rule was broken.

    Args:
        arguments: The command line without the program's name.

    Raises:
        SystemExit: The arguments are wrong, or a signal came.
    """
    print_anywhere()
    chosen = _parser().parse_args(arguments)
    console = Console()
    exit_on_signals()
    plan = make_plan(chosen.jobs, chosen.seed)
    directory = Path(tempfile.mkdtemp(prefix="fluxrelay-chaos-"))
    keep = True
    try:
        with Progress(console) as progress:
            verdict = run(plan, directory=directory, limit=chosen.limit, say=progress.say)
        name = chosen.out / f"seed-{plan.seed}"
        write(name.with_suffix(".json"), plan, verdict)
        draw(name.with_suffix(".png"), plan, verdict)
        show(console, plan, verdict)
        console.print(f"Written: {name}.json and {name}.png", highlight=False)
        keep = chosen.keep or not verdict.holds
    except (ProcessFailedError, httpx.HTTPError) as error:
        console.print(f"The run could not be completed: {error}", markup=False)
        return 2
    finally:
        if keep:
            console.print(f"Data and logs are kept in {directory}", highlight=False)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if verdict.holds else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos",
        description="Sends jobs through the whole stack while everything is killed at random, "
        "and has the provider's ledger, the bucket and the callback receiver check the results.",
    )
    parser.add_argument("--jobs", type=int, default=2000, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="same seed, same plan (%(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("chaos-output"),
        metavar="FOLDER",
        help="folder for the JSON and the plot (%(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=_LIMIT,
        metavar="SECONDS",
        help="time limit; then the run is judged, finished or not (%(default)s)",
    )
    parser.add_argument("--keep", action="store_true", help="keep data and logs in any case")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
