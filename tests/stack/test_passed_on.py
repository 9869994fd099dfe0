"""`up` passes settings of its environment on, and says which it does not."""

from pathlib import Path

import pytest

from stack.commands.passed_on import passed_on, unknown_settings


def test_nothing_given_means_keys_of_metadata_to_list_by(tmp_path: Path) -> None:
    """Without settings, jobs can be listed by the keys of the examples, and nothing is said."""
    given = passed_on({"PATH": "/bin"}, sandbox=True, folder=tmp_path)
    assert given.variables == {"FLUXRELAY_INDEXED_METADATA": "order,customer"}
    assert given.notices == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLUXRELAY_INDEXED_METADATA", "shop"),
        ("FLUXRELAY_MAX_BACKLOG", "7"),
        ("FLUXRELAY_CALLBACK_TIMEOUT_SECONDS", "3"),
        ("FLUXRELAY_NEVER_HEARD_OF", "x"),
    ],
)
def test_a_setting_is_passed_on(tmp_path: Path, name: str, value: str) -> None:
    """A setting reaches the processes, before a default of the command; its name is told."""
    given = passed_on({name: value}, sandbox=True, folder=tmp_path)
    assert given.variables[name] == value
    (notice,) = given.notices
    assert name in notice
    assert value not in notice.replace(name, "")


def test_networks_of_callbacks_come_to_those_of_the_command(tmp_path: Path) -> None:
    """Callbacks to this machine stay allowed."""
    given = passed_on(
        {"FLUXRELAY_CALLBACK_ALLOW_NETS": "10.0.0.0/8"}, sandbox=True, folder=tmp_path
    )
    assert given.variables["FLUXRELAY_CALLBACK_ALLOW_NETS"] == "127.0.0.0/8,10.0.0.0/8"


@pytest.mark.parametrize(
    "name",
    [
        *("FLUXRELAY_REDIS_URL", "FLUXRELAY_API_KEYS", "FLUXRELAY_API_KEYS_FILE"),
        *("FLUXRELAY_WEBHOOK_SECRET", "FLUXRELAY_PROVIDER_URL", "BFL_API_KEY_FILE"),
    ],
)
def test_what_is_not_passed_on_is_told_with_its_reason(tmp_path: Path, name: str) -> None:
    """What the command decides itself is named in one line, without its value."""
    given = passed_on({name: "s3cret", "FLUXRELAY_HOST": "0"}, sandbox=True, folder=tmp_path)
    assert name not in given.variables
    (notice,) = given.notices
    assert notice.startswith("Ignored: ")
    assert f"{name} (" in notice
    assert "s3cret" not in notice


def test_settings_of_the_real_provider_are_passed_on(tmp_path: Path) -> None:
    """Without the sandbox, its hosts and proxies count."""
    names = ("FLUXRELAY_PROVIDER_POLL_URLS", "FLUXRELAY_RESULT_HOSTS", "FLUXRELAY_PROXY")
    given = passed_on(dict.fromkeys(names, "x"), sandbox=False, folder=tmp_path)
    assert names == tuple(name for name in names if name in given.variables)


def test_variables_of_the_client_and_the_command_are_left_alone(tmp_path: Path) -> None:
    """What the same shell holds for the client is no setting, and no mistake."""
    names = ("FLUXRELAY_URL", "FLUXRELAY_KEY", "FLUXRELAY_PORT", "FLUXRELAY_PUBLIC_URL")
    given = passed_on(dict.fromkeys(names, "x"), sandbox=True, folder=tmp_path)
    assert not given.variables.keys() & set(names)
    assert given.notices == ()


def test_a_file_of_variables_is_not_read_but_told(tmp_path: Path) -> None:
    """Who fills in `.env` learns that this command does not read it."""
    (tmp_path / ".env").write_text("FLUXRELAY_MAX_BACKLOG=7\n")
    given = passed_on({}, sandbox=True, folder=tmp_path)
    assert "FLUXRELAY_MAX_BACKLOG" not in given.variables
    assert ".env" in given.notices[0]


def test_a_misspelt_setting_is_told() -> None:
    """What the service's log says of variables that are no settings is shown."""
    log = (
        "not JSON\n"
        '{"event": "settings.unknown", "variable": "FLUXRELAY_INDEX", "reason": "no such"}\n'
        '{"event": "service.ready"}\n'
    )
    assert list(unknown_settings(log)) == ["FLUXRELAY_INDEX: no such"]
