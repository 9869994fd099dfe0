"""The page of the command line names what there is."""

import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from fluxrelay.cli.app import app
from tests.doc_pages import page

TEXT = page("docs/command-line.md")


def commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each command with its name, those of groups within as `group command`."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def known() -> dict[str, Any]:
    """Return all commands."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return dict(commands(group))


def test_the_table_names_every_command() -> None:
    """The table has each command, and no other."""
    rows = re.findall(r"^\| (`[^|]+) \|", TEXT.partition("## Submit")[0], re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z -]+)`", row)]

    assert sorted(named) == sorted(known())


def test_every_option_that_is_named_exists() -> None:
    """Each option on the page is one of a command's."""
    parameters = [one for command in known().values() for one in command.params]
    options = {option for one in parameters for option in one.opts + one.secondary_opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT))

    assert named - options == {"--help", "--install-completion"}


def test_every_option_is_explained() -> None:
    """`--help` has words for each argument and option, and a sentence for each command."""
    silent = [
        f"{name} {one.name}"
        for name, command in known().items()
        for one in command.params
        if not one.help
    ]

    assert silent == []
    assert [name for name, command in known().items() if not command.help] == []
