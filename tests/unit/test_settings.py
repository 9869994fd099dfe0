"""Settings come from the environment, complete, with every problem at once."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import SettingsError
from core.settings.field_types import is_confidential
from core.settings.settings import SERVICE, WORKER, Settings
from core.text_values import Secret, SlotLimits

MASTER = "hunter2-" * 4
SECRETS = {
    "BFL_API_KEY": "hunter2-provider-key",
    "FLUXRELAY_WEBHOOK_SECRET": MASTER,
    "FLUXRELAY_API_KEYS": "demo:hunter2-api-key-01",
    "FLUXRELAY_REDIS_URL": "redis://:hunter2@127.0.0.1:6379/0",
}
NEEDED = {**SECRETS, "FLUXRELAY_S3_BUCKET": "pictures"}


def _without(*names: str) -> dict[str, str]:
    return {name: value for name, value in NEEDED.items() if name not in names}


def _problems(environ: dict[str, str], process: str = WORKER) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, process)
    return caught.value.problems


def test_defaults() -> None:
    """With what is needed and nothing else, every setting has its documented default."""
    settings = Settings.from_env(NEEDED, WORKER)

    assert settings.provider_url == "https://api.bfl.ai"
    assert settings.slots == SlotLimits(24, {"flux-kontext-max": 6})
    assert settings.result_hosts == (".bfl.ai", ".blob.core.windows.net")
    assert (settings.poll_urls, settings.callback_allow_nets) == ((), ())
    assert settings.public_url is None
    assert settings.require_aof is True
    assert settings.s3_key_template == "{date}/{job_id}.{ext}"
    assert (settings.job_ttl_seconds, settings.job_deadline_seconds) == (604_800.0, 86_400.0)
    assert settings.worker_concurrency == 16
    service = Settings.from_env(NEEDED, SERVICE)
    assert (service.host, service.port) == ("127.0.0.1", 8080)
    assert service.max_body_bytes == 288 * 1024 * 1024


@pytest.mark.parametrize("process", [SERVICE, WORKER])
def test_everything_that_is_missing_is_named_at_once(process: str) -> None:
    """An empty environment brings one line per missing variable, and each says what it is."""
    others = {SERVICE: "BFL_API_KEY", WORKER: "FLUXRELAY_API_KEYS"}

    problems = _problems({}, process)

    assert {line.partition(":")[0] for line in problems} == set(NEEDED) - {others[process]}
    assert all("is not set (" in line for line in problems)


def test_missing_and_bad_are_named_together() -> None:
    """What is missing, what is wrong and what the caller found before come in one error."""
    environ = _without("FLUXRELAY_S3_BUCKET") | {
        "FLUXRELAY_SLOTS": "none",
        "FLUXRELAY_RETRY_MAX_SECONDS": "soon",
        "FLUXRELAY_WORKER_CONCURRENCY": "inf",
    }

    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, WORKER, ["found before"])

    assert [line.partition(":")[0] for line in caught.value.problems] == [
        "found before",
        "FLUXRELAY_SLOTS",
        "FLUXRELAY_RETRY_MAX_SECONDS",
        "FLUXRELAY_S3_BUCKET",
        "FLUXRELAY_WORKER_CONCURRENCY",
    ]
    assert str(caught.value).count("\n") == 4


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_blank_is_not_set(blank: str) -> None:
    """An empty variable counts as none: the default stands, or it is missing."""
    assert Settings.from_env(NEEDED | {"FLUXRELAY_SLOTS": blank}, WORKER).slots.total == 24
    assert "is not set" in _problems(NEEDED | {"FLUXRELAY_S3_BUCKET": blank})[0]


def test_blanks_around_a_value_are_dropped() -> None:
    """A line end from a file or a shell is no part of a value."""
    assert Settings.from_env(NEEDED | {"FLUXRELAY_PORT": " 99\n"}, SERVICE).port == 99


def test_each_process_needs_its_own_only() -> None:
    """The public process does without the provider's key, workers without callers' keys."""
    service = Settings.from_env(_without("BFL_API_KEY"), SERVICE)
    worker = Settings.from_env(_without("FLUXRELAY_API_KEYS"), WORKER)

    assert [service.bfl_api_key, worker.api_keys] == [None, None]


def test_what_a_process_does_not_need_is_not_read() -> None:
    """Nonsense in another process's variable is none of this one's problems."""
    assert Settings.from_env(NEEDED | {"FLUXRELAY_PORT": "nonsense"}, WORKER).port is None


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_stand_in_a_file(name: str, tmp_path: Path) -> None:
    """`NAME_FILE` names a file that holds it, with or without a line end."""
    path = tmp_path / "secret"
    path.write_text(SECRETS[name] + "\n")
    process = SERVICE if name == "FLUXRELAY_API_KEYS" else WORKER

    from_file = Settings.from_env(_without(name) | {f"{name}_FILE": str(path)}, process)
    direct = Settings.from_env(NEEDED, process)

    fields = Settings.model_fields.items()
    field = next(field for field, facts in fields if facts.validation_alias == name)
    assert _revealed(getattr(from_file, field)) == _revealed(getattr(direct, field))


def _revealed(value: object) -> object:
    if isinstance(value, tuple):
        return [_revealed(item) for item in value]
    return value.reveal() if isinstance(value, Secret) else value


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read: No such file"), (b"\xff\xfe", "is not a text file"), (b"", "not set")],
)
def test_a_bad_secret_file_is_a_problem(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A file that is missing, no text or empty is named by its variable."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    (problem,) = _problems(_without("BFL_API_KEY") | {"BFL_API_KEY_FILE": str(path)})

    assert problem.startswith("BFL_API_KEY")
    assert words in problem


@pytest.mark.parametrize("kind", ["pipe", "folder", "endless", "huge"])
def test_a_secret_is_read_of_a_file_alone(tmp_path: Path, kind: str) -> None:
    """A pipe would be waited for, and a device read for ever; both are told instead."""
    path = tmp_path / "secret"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "endless":
        path = Path("/dev/zero")
    else:
        path.write_bytes(b"x" * 70_000)

    (problem,) = _problems(_without("BFL_API_KEY") | {"BFL_API_KEY_FILE": str(path)})

    assert "BFL_API_KEY_FILE: cannot be read: " in problem
    assert "not a regular file" in problem or "larger than 65536 bytes" in problem


def test_a_secret_that_is_set_twice_is_a_problem(tmp_path: Path) -> None:
    """Nobody could say which of the two is meant."""
    path = tmp_path / "secret"
    path.write_text("hunter2-other")

    (problem,) = _problems(NEEDED | {"BFL_API_KEY_FILE": str(path)})

    assert "set twice" in problem


@pytest.mark.parametrize("process", [SERVICE, WORKER])
def test_no_message_and_no_repr_holds_a_secret(process: str) -> None:
    """Each secret, made bad in a way of its own, stays out of the error and of the settings."""
    bad = {
        "BFL_API_KEY": "hunter2ß",
        "FLUXRELAY_WEBHOOK_SECRET": "hunter2",
        "FLUXRELAY_API_KEYS": "hunter2hunter2hunter2",
        "FLUXRELAY_REDIS_URL": "redis://:hunter2℀@host",
    }

    assert len(_problems(NEEDED | bad, process)) == 3
    assert "hunter2" not in "".join(_problems(NEEDED | bad, process))
    assert "hunter2" not in repr(Settings.from_env(NEEDED, process))


@pytest.mark.parametrize(("doubt", "is_fine"), [("29", False), ("30", False), ("30.1", True)])
def test_a_doubt_must_outlast_the_request(doubt: str, *, is_fine: bool) -> None:
    """A submit that may still be under way must not be repeated."""
    environ = NEEDED | {
        "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": doubt,
        "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS": "30",
    }
    if is_fine:
        assert Settings.from_env(environ, WORKER).submit_in_doubt_seconds == float(doubt)
    else:
        (problem,) = _problems(environ)
        assert problem.startswith("FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS: must be longer")


@pytest.mark.parametrize("value", ["-1", "4", "1.0", "many", "01"])
def test_resubmits_are_few(value: str) -> None:
    """Each may be paid for, so no deployment can ask for many."""
    (problem,) = _problems(NEEDED | {"FLUXRELAY_MAX_RESUBMITS": value})

    assert problem.startswith("FLUXRELAY_MAX_RESUBMITS: must be a whole number from 0 to 3")
    assert Settings.from_env(NEEDED | {"FLUXRELAY_MAX_RESUBMITS": "0"}, WORKER).max_resubmits == 0


@pytest.mark.parametrize(("watch", "is_fine"), [("14", False), ("15", False), ("15.1", True)])
def test_a_lease_must_outlast_a_callback(watch: str, *, is_fine: bool) -> None:
    """A receiver that may still answer must not be called a second time."""
    environ = NEEDED | {
        "FLUXRELAY_WATCH_SECONDS": watch,
        "FLUXRELAY_CALLBACK_TIMEOUT_SECONDS": "15",
    }
    if is_fine:
        assert Settings.from_env(environ, WORKER).watch_seconds == float(watch)
    else:
        (problem,) = _problems(environ)
        assert problem.startswith("FLUXRELAY_WATCH_SECONDS: must be longer")


@pytest.mark.parametrize(
    ("longer", "default"),
    [
        ("FLUXRELAY_PROVIDER_TIMEOUT_SECONDS", "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS"),
        ("FLUXRELAY_CALLBACK_TIMEOUT_SECONDS", "FLUXRELAY_WATCH_SECONDS"),
    ],
)
def test_a_default_that_another_setting_outgrows_is_a_problem(longer: str, default: str) -> None:
    """It is named by its variable, though that was never set."""
    (problem,) = _problems(NEEDED | {longer: "1000"})

    assert problem.startswith(f"{default}: must be longer than {longer}, ")


def test_a_missing_key_is_named_beside_a_bad_account() -> None:
    """What is wrong with the default account's parts hides nothing."""
    problems = _problems(_without("BFL_API_KEY") | {"FLUXRELAY_SLOTS": "none"})

    assert {line.partition(":")[0] for line in problems} == {"BFL_API_KEY", "FLUXRELAY_SLOTS"}


@pytest.mark.parametrize("name", ["fluxrelay_port", "port", "PORT"])
def test_a_variable_has_one_spelling(name: str) -> None:
    """Nothing but the documented name is read."""
    assert Settings.from_env(NEEDED | {name: "99"}, SERVICE).port == 8080


def test_a_short_doubt_is_named_beside_other_problems() -> None:
    """All at once holds for this one as well."""
    environ = _without("FLUXRELAY_S3_BUCKET") | {"FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": "1"}

    assert len(_problems(environ)) == 2


def test_settings_cannot_be_changed() -> None:
    """What was read at the start stands until the end."""
    settings = Settings.from_env(NEEDED, WORKER)

    with pytest.raises(ValidationError, match="frozen"):
        settings.s3_bucket = "other"


def test_every_variable_says_what_it_is_for() -> None:
    """Each has a sentence, a name of its own, and no secret has a default."""
    variables = [field for field in Settings.model_fields.values() if field.description]

    assert len({field.validation_alias for field in variables}) == len(variables)
    assert all(str(field.description).endswith(".") for field in variables)
    secrets = [field for field in variables if is_confidential(field)]
    assert all(field.is_required() or field.default is None for field in secrets)
