"""The page of the command line names what there is."""

import re
from collections.abc import Iterator

import click
import typer

from fluxrelay.cli.app import app
from tests.doc_pages import page

TEXT = page("docs/command-line.md")


def commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield each command with its name, those of groups within as `group command`."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def known() -> dict[str, click.Command]:
    """Return all commands."""
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    return dict(commands(group))


def test_the_table_names_every_command() -> None:
    """The table has each command, and no other."""
    rows = re.findall(r"^\| (`[^|]+) \| [a-z]", TEXT.partition("## Submit")[0], re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z -]+)`", row)]

    assert sorted(named) == sorted(known())


def test_every_option_that_is_named_exists() -> None:
    """Each option on the page is one of a command's."""
    options = {
        option for command in known().values() for one in command.params for option in one.opts
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT))

    assert named - options - {"--help", "--install-completion", "--prefix"} == set()


def test_every_command_says_what_its_options_do() -> None:
    """`--help` has words for each argument and option."""
    silent = {
        f"{name} {one.name}"
        for name, command in known().items()
        for one in command.params
        if not getattr(one, "help", None)
    }

    assert silent == set()
