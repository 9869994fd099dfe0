"""What the operator's commands print: tables for people, lines for programs, errors."""

import sys
from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_ANY: Final = 1_000  # a width that no table needs
_WIDEST: Final = 60  # characters of a line's last cell, where it is not on a terminal


def is_terminal() -> bool:
    """Whether a person reads both the output and the errors."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def say(text: str) -> None:
    """Print a line at once; a reader that is gone ends the command, without a traceback."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_error(*lines: str) -> None:
    """Print what is wrong to standard error, each further line indented."""
    sys.stderr.write("\n  ".join(lines) + "\n")


def say_rows(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """Print rows as a table: on a terminal one that fits, elsewhere a line for each.

    Args:
        headings: One for each cell.
        rows: Each cell but the last is short.
        title: The heading of the cell that names a row. A terminal that is too narrow for the
            table shows the rows below each other, each below its name.
    """
    rows = [[_printable(cell) for cell in row] for row in rows]
    if not rows:
        return
    if not sys.stdout.isatty():
        _say_lines([headings, *[[*row[:-1], row[-1][:_WIDEST]] for row in rows]])
        return
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=heading != headings[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if table.__rich_measure__(console, console.options.update(width=_ANY)).minimum <= console.width:
        console.print(table)
        return
    margin = max(map(len, headings)) + 1
    for row in rows:
        cells = dict(zip(headings, row, strict=True))
        console.print(Text(cells.pop(title), style="bold"), soft_wrap=True)
        for heading, cell in cells.items():
            console.print(Text.assemble("  ", (heading.ljust(margin), "dim"), cell))


def _say_lines(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())


def _printable(text: str) -> str:
    """Return text without control characters, which could command the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
