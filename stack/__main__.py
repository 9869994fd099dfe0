"""The command line: `python -m stack demo` and `python -m stack up`."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from stack.commands.demo import run_demo
from stack.commands.demo_jobs import DEMO_JOBS
from stack.commands.interruption import exit_on_signals
from stack.commands.passed_on import passed_on
from stack.commands.up import choose_provider, run_up
from stack.display.terminal import print_anywhere
from stack.display.view import print_lines
from stack.options import StackOptions
from stack.servers.fluxrelay import SOURCE_ROOT


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run a command and return its exit code.

    Args:
        arguments: The command line without the program's name.
        environment: The caller's environment.

    Raises:
        SystemExit: The arguments are invalid, or a signal came (128 plus its number).
    """
    print_anywhere()
    chosen = _parser(environment).parse_args(arguments)
    console = Console()
    exit_on_signals()
    if chosen.command == "demo":
        return run_demo(console, DEMO_JOBS[chosen.job], chosen.output)
    provider, notice = choose_provider(environment)
    if notice is not None:
        console.print(notice, highlight=False)
    given = passed_on(environment, sandbox=provider is None, folder=SOURCE_ROOT)
    print_lines(console, given.notices)
    options = StackOptions(port=chosen.port, provider=provider, relay_variables=given.variables)
    return run_up(console, options, chosen.directory, fresh=chosen.fresh)


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stack",
        description="FluxRelay with all it needs (Valkey, SeaweedFS, the provider's sandbox) on "
        "this machine: loopback only, no Docker, no root.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="start everything, run one job, check the result, stop everything",
        description="Exits with 0 only if the image or video is in the bucket with the "
        "provider's bytes and the signed callback came.",
    )
    demo.add_argument(
        "job",
        nargs="?",
        choices=tuple(DEMO_JOBS),
        default="image",
        help="what to make (default: %(default)s)",
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="FOLDER",
        help="folder for the image or video (default: %(default)s)",
    )
    _add_up(commands, environment)
    return parser


def _add_up(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    environment: Mapping[str, str],
) -> None:
    up = commands.add_parser(
        "up",
        help="keep everything running in the foreground until Ctrl-C",
        description="With BFL_API_KEY and FLUXRELAY_PUBLIC_URL in the environment, jobs go to the "
        "real provider (FLUXRELAY_PROVIDER_URL, if it is another) instead of the sandbox. Other "
        "FLUXRELAY_ settings of the environment are passed on.",
    )
    up.add_argument(
        "--port",
        type=int,
        default=_port(environment),
        metavar="PORT",
        help="the service's port (default: FLUXRELAY_PORT, or that of the last start, or a free "
        "one)",
    )
    up.add_argument(
        "--directory",
        type=Path,
        default=SOURCE_ROOT / ".stack",
        metavar="FOLDER",
        help="folder for data, keys and logs (default: %(default)s)",
    )
    up.add_argument(
        "--fresh", action="store_true", help="begin without the jobs and files of earlier runs"
    )


def _port(environment: Mapping[str, str]) -> str | None:
    """Return the requested port; Kubernetes sets this variable to the address of a Service."""
    port = environment.get("FLUXRELAY_PORT", "")
    return None if "://" in port else port or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
