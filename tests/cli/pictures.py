"""`python -m tests.cli.pictures`: makes the pictures of docs/command-line.md, each of a real run.

Every command runs in a terminal of its own, before a stack of the whole product. Its picture is
what the terminal shows in the end, or in the middle of the run.
"""

import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from stack.options import StackOptions
from stack.servers.environment import child_environment
from stack.stack import Stack

ROOT: Final = Path(__file__).parents[2]
PICTURES: Final = ROOT / "docs/images"
_COLUMNS: Final = 100
_SUBMIT: Final = ("submit", "A red fox in fresh snow", "-m", "flux-pro-1.1")
_SIZE: Final = ("-p", "width=1024", "-p", "height=768")
_ANIMALS: Final = ("fox", "owl", "hare", "lynx", "wren", "otter", "heron", "badger")
_ITEMS: Final = 240
#: A batch is shown when a good third of it is done.
_SHOWN: Final = 0.4
#: What moves the cursor or erases, as rich does it; and what says how to write.
_CONTROL: Final = re.compile(r"\r|\n|\x1b\[(\d*)A|\x1b\[2K|\x1b\[\?\d+[hl]")

Lines = Sequence[str]


class Screen:
    """What a terminal shows, as lines that hold their colours."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0

    def write(self, text: str) -> None:
        """Take text whose controls are whole."""
        position = 0
        for control in _CONTROL.finditer(text):
            self.lines[self._row] += text[position : control.start()]
            position = control.end()
            if control[0] == "\n":
                self._row += 1
                self.lines += [""] * (self._row == len(self.lines))
            elif control[0].endswith("A"):
                self._row = max(0, self._row - int(control[1] or 1))
            elif control[0].endswith("K"):
                self.lines[self._row] = ""
        self.lines[self._row] += text[position:]


class Terminal:
    """Runs a command as a person does who has set the address and the key.

    Args:
        arguments: The command's arguments.
        stack: The product.
        folder: Where it runs.
    """

    def __init__(self, arguments: Sequence[str], stack: Stack, folder: Path) -> None:
        self._ours, its = os.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, _COLUMNS, 0, 0))
        variables = {
            "FLUXRELAY_URL": stack.service_url,
            "FLUXRELAY_KEY": stack.api_key,
            "PYTHONPATH": str(ROOT / "client"),
            "TERM": "xterm-256color",
            "XDG_CONFIG_HOME": str(folder),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fluxrelay.cli", *arguments],
            cwd=folder,
            env=child_environment(variables),
            stdin=its,
            stdout=its,
            stderr=its,
        )
        os.close(its)

    def screens(self) -> Iterator[Lines]:
        """Yield what is shown after each change, until the command has ended."""
        screen, rest = Screen(), b""
        try:
            while part := os.read(self._ours, 65_536):
                *whole, rest = re.split(rb"(?<=\n)|(?=\r)", rest + part)
                for one in whole:
                    screen.write(one.decode())
                yield screen.lines
        except OSError:  # how a terminal tells that all programs have closed it
            pass
        screen.write(rest.decode())
        yield screen.lines

    def close(self) -> None:
        """End the command."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@contextmanager
def terminal(arguments: Sequence[str], stack: Stack, folder: Path) -> Iterator[Terminal]:
    """Run a command until the end of the block."""
    running = Terminal(arguments, stack, folder)
    try:
        yield running
    finally:
        running.close()


def shown_at_the_end(arguments: Sequence[str], stack: Stack, folder: Path) -> Lines:
    """Return what a command leaves on the screen."""
    with terminal(arguments, stack, folder) as running:
        *_, last = running.screens()
        return last


def shown_when(
    enough: Callable[[str], bool], arguments: Sequence[str], stack: Stack, folder: Path
) -> Lines:
    """Return what a command shows as soon as a line is as it should be."""
    with terminal(arguments, stack, folder) as running:
        for lines in running.screens():
            if any(enough(Text.from_ansi(line).plain) for line in lines):
                return list(lines)
    raise AssertionError(f"{arguments} has not shown what it should")


def draw(name: str, arguments: Sequence[str], lines: Lines) -> None:
    """Write the picture of a command and of what it shows."""
    console = Console(
        record=True, force_terminal=True, width=_COLUMNS, highlight=False, file=io.StringIO()
    )
    while lines and not lines[-1]:
        lines = lines[:-1]
    words = (f'"{word}"' if " " in word else word for word in arguments)
    command = Text.assemble(("$ ", "bold"), " ".join(("fluxrelay", *words)))
    for line in (command, *map(Text.from_ansi, lines)):
        # As a terminal does: where the screen ends, whatever stands there.
        for start in range(0, max(1, len(line)), _COLUMNS):
            console.print(line[start : start + _COLUMNS], soft_wrap=True)
    svg = console.export_svg(title=f"fluxrelay {name}")
    # Fonts from elsewhere are not loaded in a page; each system has one of these.
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    fonts = 'font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace'
    svg = svg.replace("font-family: Fira Code, monospace", fonts)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    (PICTURES / f"command-line-{name}.svg").write_text(svg, encoding="utf-8")


def draw_batch(stack: Stack, folder: Path) -> None:
    """Draw a batch in progress, of which some items fail."""
    rows = [f"A {_ANIMALS[n % len(_ANIMALS)]} in fresh snow" for n in range(_ITEMS)]
    rows[3] = rows[40] = "fail-generation"
    text = "\n".join(["prompt,width,height", *(f"{row},256,256" for row in rows)])
    (folder / "animals.csv").write_text(text, encoding="utf-8")
    arguments = ("batch", "animals.csv", "-m", "flux-pro-1.1", "--save", "out")

    def is_enough(line: str) -> bool:
        ended = re.search(r" (\d+)/(\d+) ", line)
        return ended is not None and int(ended[1]) >= _SHOWN * int(ended[2])

    draw("batch", arguments, shown_when(is_enough, arguments, stack, folder))


def draw_listen(stack: Stack, folder: Path) -> None:
    """Draw what `listen` shows of three jobs."""
    with terminal(("listen", "--count", "3"), stack, folder) as running:
        screens = running.screens()
        next(lines for lines in screens if "Listening" in lines[0])
        for prompt in ("A red fox", "fail-generation", "An owl at dusk"):
            submit = ("submit", prompt, *_SUBMIT[2:], "--callback", "http://127.0.0.1:4242/")
            shown_at_the_end(submit, stack, folder)
        *_, last = screens
    draw("listen", ("listen",), last)


def main() -> None:
    """Make all pictures."""
    options = StackOptions(sandbox_variables={"SANDBOX_GENERATION_SECONDS": "0.8-3"})
    with Stack(options) as stack, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for command, arguments in (
            ("submit", (*_SUBMIT, *_SIZE, "--save", "out")),
            ("doctor", ("doctor",)),
        ):
            draw(command, arguments, shown_at_the_end(arguments, stack, folder))
        draw_listen(stack, folder)
        draw_batch(stack, folder)


if __name__ == "__main__":
    main()
