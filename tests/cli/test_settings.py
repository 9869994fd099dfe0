"""Settings of the command line: which one counts, and where a key is sent."""

from pathlib import Path

import pytest

from fluxrelay.cli.exits import CommandFailed, Exit
from fluxrelay.cli.settings import Settings, read_settings, settings_file

_FILE = """
[default]
url = "https://relay.example/"
key = "key-of-default"

[staging]
url = "https://staging.example"
key_file = "KEY_FILE"
model = "flux-2-pro"
"""


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a settings file of two profiles."""
    (tmp_path / "key").write_text("key-of-staging\n", encoding="utf-8")
    folder = tmp_path / "fluxrelay"
    folder.mkdir()
    text = _FILE.replace("KEY_FILE", str(tmp_path / "key"))
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def values(settings: Settings) -> tuple[str | None, str | None]:
    """Return the address and the key."""
    url, key = settings.url, settings.key
    return url.value if url else None, key.value if key else None


def test_an_option_beats_the_environment_which_beats_the_file(home: dict[str, str]) -> None:
    """Each place is asked in its turn, and a named profile beats the environment as well."""
    named = {"FLUXRELAY_URL": "http://127.0.0.1:1", "FLUXRELAY_KEY": "key-of-shell"}
    assert values(read_settings(home)) == ("https://relay.example", "key-of-default")
    assert values(read_settings(home | named)) == ("http://127.0.0.1:1", "key-of-shell")
    staging = ("https://staging.example", "key-of-staging")
    assert values(read_settings(home | named, profile="staging")) == staging
    chosen = read_settings(home | {"FLUXRELAY_PROFILE": "staging"})
    assert values(chosen) == staging
    assert chosen.model is not None
    assert chosen.model.value == "flux-2-pro"
    assert values(read_settings({"FLUXRELAY_CONFIG": "/nowhere"})) == (None, None)


@pytest.mark.parametrize("url", ["https://other.example", "http://relay.example"])
def test_a_stored_key_goes_to_its_own_address_only(home: dict[str, str], url: str) -> None:
    """An address from elsewhere gets no key from the file."""
    assert values(read_settings(home, url=url)) == (url, None)
    assert values(read_settings(home | {"FLUXRELAY_URL": url})) == (url, None)
    assert values(read_settings(home, url="https://relay.example"))[1] == "key-of-default"


def test_no_key_is_shown_by_the_settings(home: dict[str, str]) -> None:
    """Printed, they show where a value is from, and no key."""
    shown = repr(read_settings(home))
    assert "key-of" not in shown
    assert "[default] of" in shown


def test_the_file_is_where_xdg_has_it() -> None:
    """A relative XDG_CONFIG_HOME is ignored, as the specification says."""
    usual = Path.home() / ".config/fluxrelay/config.toml"
    assert settings_file({}) == settings_file({"XDG_CONFIG_HOME": "config"}) == usual


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[default\n", "is not TOML"),
        ('url = "http://x"\n', "below a line like [default]"),
        ('[default]\nulr = "x"\n', "Did you mean url?"),
        ("[default]\nkey = 7\n", "must be text in quotes"),
        ('[default]\nurl = "relay.example"\n', "is no http(s) URL"),
        ('[default]\nurl = "http://me:secret@relay.example"\n', "must hold no user"),
        ('[default]\nurl = "http://x"\nkey_file = "/no/such"\n', "named by key_file"),
        ("\xff", "it is not UTF-8"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    """The sentence names the file or the line, and no value that may be secret."""
    file = tmp_path / "config.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(CommandFailed) as failed:
        read_settings({"FLUXRELAY_CONFIG": str(file)})
    assert failed.value.code == Exit.USAGE
    assert said in failed.value.message
    assert "secret" not in failed.value.message


def test_an_unknown_profile_is_told(home: dict[str, str]) -> None:
    """The nearest name is offered."""
    with pytest.raises(CommandFailed, match="Did you mean staging"):
        read_settings(home, profile="stagign")


def test_a_line_end_belongs_to_no_setting(home: dict[str, str], tmp_path: Path) -> None:
    """Files and secret stores leave one, and editors a byte order mark; blanks are no value."""
    (tmp_path / "key").write_text("\ufeffkey-of-staging\r\n", encoding="utf-8")
    assert values(read_settings(home, profile="staging"))[1] == "key-of-staging"
    named = {"FLUXRELAY_URL": " http://127.0.0.1:1/\n", "FLUXRELAY_KEY": "key-of-shell\r\n"}
    assert values(read_settings(home | named)) == ("http://127.0.0.1:1", "key-of-shell")
    assert values(read_settings({"FLUXRELAY_KEY": " \n", "FLUXRELAY_URL": ""})) == (None, None)
    with pytest.raises(CommandFailed, match="no http"):
        read_settings({"FLUXRELAY_URL": "http://127.0.0.1:1\n/x"})
