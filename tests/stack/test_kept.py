"""`up` keeps its secrets and ports for the next run, for their owner alone."""

import stat
from pathlib import Path

import pytest
from rich.console import Console

from stack.commands.kept import Kept, UnreadableSecretsError, keep, read_kept
from stack.commands.up import run_up
from stack.options import Credentials, StackOptions


def test_the_first_run_has_secrets_of_its_own(tmp_path: Path) -> None:
    """Two folders without earlier runs have no secret in common, and ask for no port."""
    first, second = read_kept(tmp_path / "a"), read_kept(tmp_path / "b")
    assert not {*vars(first.credentials).values()} & {*vars(second.credentials).values()}
    assert first.ports == {}


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    """The next run has the same secrets and ports, however often they were written."""
    kept = Kept(Credentials(), {"service": 18_080, "s3": 12_345})
    keep(tmp_path, read_kept(tmp_path))
    keep(tmp_path, kept)
    assert read_kept(tmp_path) == kept


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """The file has no rights for others, also where an older one had."""
    keep(tmp_path, read_kept(tmp_path))
    (file,) = tmp_path.iterdir()
    file.chmod(0o644)
    keep(tmp_path, read_kept(tmp_path))
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_secret_that_is_new_is_made(tmp_path: Path) -> None:
    """A file of an earlier version, which lacks a secret, keeps those that it has."""
    (tmp_path / "secrets.json").write_text('{"credentials": {"api_key": "old"}, "ports": {}}')
    first, second = read_kept(tmp_path).credentials, read_kept(tmp_path).credentials
    assert first.api_key == second.api_key == "old"
    assert first.webhook_secret != second.webhook_secret


@pytest.mark.parametrize(
    "text", ["", "[]", '{"credentials": 1}', '{"credentials": {}, "ports": {"s3": "x"}}']
)
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    """It is not replaced behind the caller's back; the command says what to do."""
    (tmp_path / "secrets.json").write_text(text)
    with pytest.raises(UnreadableSecretsError):
        read_kept(tmp_path)
    console = Console(record=True, width=200)
    assert run_up(console, StackOptions(), tmp_path, fresh=False) == 1
    assert "secrets.json cannot be read. Delete it" in console.export_text()
    assert (tmp_path / "secrets.json").read_text() == text
