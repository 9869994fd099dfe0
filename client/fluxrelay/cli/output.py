"""What commands print: tables and facts for people, JSON and plain lines for programs."""

import codecs
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fluxrelay.cli.exits import Exit, wrong

_ANY: Final = 1_000  # a width that no table needs
_GAP: Final = 2  # characters between two columns
_WIDEST: Final = 60  # characters of a cell that is cut, where it is not on a terminal
_HANDLER: Final = "fluxrelay-stand-ins"
#: How a status that has ended is shown.
STATUS_STYLES: Final = {"succeeded": "green", "failed": "red", "canceled": "yellow"}
#: Replacements of our signs where a terminal lacks them; any other becomes a question mark.
_STAND_INS: Final = {
    "✓": "+", "✗": "x", "●": "o", "…": "...", "·": "-", "━": "-", "╸": "-", "╺": " ", "→": "->",
}  # fmt: skip


def print_anywhere() -> None:
    """Replace characters that the terminal's encoding lacks; print nowhere if nobody listens."""
    codecs.register_error(_HANDLER, _stand_in)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before we began
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def print_error(message: str, *details: str) -> None:
    """Print what is wrong to standard error, each further line indented."""
    with suppress(OSError):  # the exit code tells as well
        sys.stderr.write("\n  ".join(map(printable, (message, *details))) + "\n")


def print_error_document(code: int, message: str, details: Sequence[str]) -> None:
    """Print what is wrong to standard error, as JSON on a line."""
    error = {"exit_code": int(code), "message": message, "details": list(details)}
    with suppress(OSError):  # the exit code tells as well
        sys.stderr.write(json.dumps({"error": error}) + "\n")


def printable(text: object) -> str:
    """Return text on one line, without control characters, which could command the terminal."""
    return _harmless(" ".join(str(text).split()))


class Output:
    """Where a command prints.

    Args:
        as_json: Whether standard output is for a program, as JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(highlight=False)
        self.errors = Console(stderr=True, highlight=False)

    @property
    def for_people(self) -> bool:
        """Whether standard output is a terminal that shows text."""
        return self.console.is_terminal and not self.as_json

    @property
    def live(self) -> bool:
        """Whether something that moves can be shown, on standard error."""
        return self.errors.is_terminal and not self.errors.is_dumb_terminal

    def document(self, value: Any) -> None:
        """Print the one JSON document of a command."""
        self._write(json.dumps(value, ensure_ascii=not self._is_utf_8, indent=2))

    def line(self, value: Any) -> None:
        """Print one JSON document of many, on a line of its own, at once."""
        self._write(json.dumps(value, ensure_ascii=not self._is_utf_8))

    def say(self, text: str | Text) -> None:
        """Print a line of the result, unless the result is JSON."""
        if self.as_json:
            return
        if self.console.is_terminal:
            self.console.print(_text(text), soft_wrap=True)
        else:
            self._write(_harmless(str(text)))

    def note(self, text: str | Text) -> None:
        """Print a line that is no part of the result, to standard error."""
        self.errors.print(_text(text), soft_wrap=True)

    def facts(self, facts: Sequence[tuple[str, str | Text]]) -> None:
        """Print names and values, each pair on lines of its own."""
        if self.as_json or not facts:
            return
        width = max(len(name) for name, _ in facts)
        if not self.console.is_terminal:
            for name, value in facts:
                self._write(_harmless(f"  {name.ljust(width)}  {value}"))
            return
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in facts:
            grid.add_row(f"  {name}", _text(value))
        self.console.print(grid)

    def listed(
        self,
        name: str,
        found: Sequence[Any],
        row: Callable[[Any], Sequence[str]],
        *,
        headings: Sequence[str],
        title: str,
        cut: bool = False,
    ) -> None:
        """Print a list: its views below `name` as JSON, else a row for each; see `rows`."""
        if self.as_json:
            self.document({name: found})
        elif found:
            self.rows(headings, [row(view) for view in found], title, cut=cut)
        else:
            self.note("There are none.")

    def rows(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[str]],
        title: str,
        *,
        cut: bool = False,
    ) -> None:
        """Print rows as a table: on a terminal one that fits, elsewhere a line for each.

        Args:
            headings: One for each cell.
            rows: Each cell but the last is short.
            title: The heading of the cell that names a row. A terminal that is too narrow for the
                table shows the rows below each other, each below its name.
            cut: Whether the last cell is cut rather than wrapped, so that a row is a line.
        """
        rows = [[printable(cell) for cell in row] for row in rows]
        if self.as_json or not rows:
            return
        if not self.console.is_terminal:
            widest = _WIDEST if cut else None
            self._lines([headings, *[[*row[:-1], row[-1][:widest]] for row in rows]])
            return
        if not self._is_table_printed(headings, rows, cut=cut):
            self._print_below(headings, rows, title)

    def _is_table_printed(
        self, headings: Sequence[str], rows: Sequence[Sequence[str]], *, cut: bool
    ) -> bool:
        console = self.console
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        for heading, width in zip(headings, widths, strict=True):
            last = heading == headings[-1]
            overflow: Literal["ellipsis", "fold"] = "ellipsis" if cut and last else "fold"
            table.add_column(
                heading,
                no_wrap=cut or not last,
                overflow=overflow,
                min_width=None if last else width,
            )
        for row in rows:
            table.add_row(*map(_styled, row))
        wide = console.options.update(width=_ANY)
        needed = table.__rich_measure__(console, wide).minimum
        if cut:
            needed = sum(width + _GAP for width in widths[:-1]) + len(headings[-1])
        if needed <= console.width:
            console.print(table)
            return True
        return False

    def _print_below(
        self, headings: Sequence[str], rows: Sequence[Sequence[str]], title: str
    ) -> None:
        console = self.console
        margin = max(map(len, headings)) + 1
        for row in rows:
            cells = dict(zip(headings, row, strict=True))
            console.print(Text(cells.pop(title), style="bold"), soft_wrap=True)
            for heading, cell in cells.items():
                name = (heading.ljust(margin), "dim")
                console.print(Text.assemble("  ", name, _styled(cell)))

    def _lines(self, rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._write("  ".join(cells).rstrip())

    def _write(self, line: str) -> None:
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            _print_no_more()
            raise SystemExit(Exit.UNREAD) from None
        except OSError as error:
            _print_no_more()
            raise wrong(f"Standard output cannot be written: {error.strerror}.") from None

    @property
    def _is_utf_8(self) -> bool:
        return self.console.encoding.startswith("utf")


def _text(text: str | Text) -> Text:
    return text if isinstance(text, Text) else Text(_harmless(text))


def _harmless(line: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in line)


def _styled(cell: str) -> Text:
    return Text(cell, style=STATUS_STYLES.get(cell, ""))


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement of an unencodable part, and the position after it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(character, "?") for character in lost), error.end


def _print_no_more() -> None:
    """Drop what is still to be printed, which would fail again when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def is_terminal() -> bool:
    """Whether a person reads both the output and the errors."""
    return sys.stdout.isatty() and sys.stderr.isatty()
