"""`fluxrelay`, also as `python -m fluxrelay.cli`."""

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        from fluxrelay.cli.app import run  # noqa: PLC0415 - the extra may not be installed

        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich", "tomli"}:
            raise
        sys.stderr.write("The command line needs more: pip install 'fluxrelay[cli]'\n")
        return 2
    except KeyboardInterrupt:  # while it loads
        return 130


if __name__ == "__main__":
    sys.exit(main())
