"""Values that an env file, an editor or a habit puts into the settings are told or understood."""

import os
from pathlib import Path

import pytest

from core.settings.settings import SERVICE, WORKER, Settings
from tests.unit.startup import GOOD, PASSWORD, problems

pytestmark = pytest.mark.usefixtures("bare_environment")

QUOTED = {
    "BFL_API_KEY": f'"{PASSWORD}"',
    "FLUXRELAY_WEBHOOK_SECRET": f"'{PASSWORD * 6}'",
    "FLUXRELAY_REDIS_URL": f'"redis://:{PASSWORD}@h:1/0"\r',
    "FLUXRELAY_S3_BUCKET": '"pictures"',
    "FLUXRELAY_S3_KEY_TEMPLATE": '"{job_id}.{ext}"',
    "FLUXRELAY_REQUIRE_AOF": "'yes'",
    "FLUXRELAY_WATCH_SECONDS": ' "30" ',
}


def test_a_value_in_quotes_is_refused_and_the_quotes_are_the_reason() -> None:
    """A shell takes them off, an env file of Docker does not: a key in quotes is another key."""
    found = problems(QUOTED)

    assert {line.partition(":")[0] for line in found} == {*QUOTED}
    assert all(": is in quotes, " in line for line in found)


def test_a_key_in_quotes_in_a_file_is_refused(tmp_path: Path) -> None:
    """An account's key as well, from its file."""
    (tmp_path / "key").write_text(f'"{PASSWORD}"\n')
    accounts = {"FLUXRELAY_ACCOUNTS": '[{"name":"eu"}]'}

    (problem,) = problems({**accounts, "BFL_API_KEY_EU_FILE": str(tmp_path / "key")})

    assert problem.startswith("BFL_API_KEY_EU: is in quotes, ")


@pytest.mark.parametrize("text", ["key", "key\n", "key\r\n", "\ufeffkey\r\n"])
def test_a_secret_file_of_any_editor_is_read(text: str, tmp_path: Path) -> None:
    """A byte order mark and a line end are no part of the secret."""
    (tmp_path / "key").write_bytes(text.encode())
    environ = {**GOOD, "BFL_API_KEY": "", "BFL_API_KEY_FILE": str(tmp_path / "key")}

    key = Settings.from_env(environ, WORKER).bfl_api_key

    assert key is not None
    assert key.reveal() == "key"


def test_a_models_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """An editor on Windows writes one."""
    (tmp_path / "models.json").write_bytes(b'\xef\xbb\xbf{"models": []}\r\n')

    assert problems({"FLUXRELAY_MODELS_FILE": str(tmp_path / "models.json")}, SERVICE) == []


@pytest.mark.parametrize(
    "variable", ["FLUXRELAY_MODELS_FILE", "SSL_CERT_FILE", "AWS_CA_BUNDLE", "FLUXRELAY_REDIS_URL"]
)
def test_a_pipe_is_told_and_not_waited_for(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it would wait for its writer, and the process neither start nor end."""
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    redis = f"rediss://h:1/0?ssl_ca_certs={path}"
    value = redis if variable == "FLUXRELAY_REDIS_URL" else path
    monkeypatch.setenv(variable, value)

    (problem,) = problems({variable: value}, SERVICE)

    assert problem.startswith(f"{variable}: ")


def test_all_options_of_a_redis_url_are_told_at_once() -> None:
    """The client tells one at a time."""
    options = "ssl_ca_certs=/nope.pem&ssl_cert_reqs=perhaps&socket_timeout=abc"

    found = problems({"FLUXRELAY_REDIS_URL": f"rediss://:{PASSWORD}@h:1/0?{options}"}, SERVICE)

    assert len(found) == 3
    for name in ("ssl_ca_certs", "ssl_cert_reqs", "socket_timeout"):
        assert any(name in line for line in found)


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("https://relay.example/a b", 1),
        ("https://relay.exam\nple", 1),
        ("https://relay.example/\x01", 1),
        ("https://a..b/x", 1),
        ("https://relay.example:0", 1),
        ("https://relay.example/?q=1#f", 1),
        (f"https://me:{PASSWORD}@relay.example/a b?q=1", 3),
        ("https://relay.example/below/", 0),
        ("https://münchen.example", 0),
        ("http://[::1]:8080", 0),
    ],
)
def test_a_public_url_that_nobody_can_call_is_told(url: str, count: int) -> None:
    """The service tells it as a worker does, and each mistake."""
    found = problems({"FLUXRELAY_PUBLIC_URL": url}, SERVICE)

    assert [line.partition(":")[0] for line in found] == ["FLUXRELAY_PUBLIC_URL"] * count


@pytest.mark.parametrize("host", ["http://0.0.0.0", "0.0.0.0:8080", "[::1]"])
def test_a_host_with_more_than_an_address_is_told_with_the_remedy(host: str) -> None:
    """The port has a variable of its own."""
    (problem,) = problems({"FLUXRELAY_HOST": host}, SERVICE)

    assert "such as 0.0.0.0; FLUXRELAY_PORT has the port" in problem


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("FLUXRELAY_KEEPALIVE_SECONDS", "9" * 30, "from 1 to 315360000"),
        ("FLUXRELAY_SERVICE_GRACE_SECONDS", "9" * 5000, "from 1 to 315360000"),
        ("FLUXRELAY_MAX_BODY_BYTES", "9" * 25, "below 2^63"),
        ("FLUXRELAY_MAX_BODY_BYTES", "5MB", "in digits alone"),
        ("FLUXRELAY_KEEPALIVE_SECONDS", "1m", "in digits alone"),
        ("FLUXRELAY_DRAIN_SECONDS", "10s", "without a unit"),
        ("FLUXRELAY_HEAD_SECONDS", "500ms", "without a unit"),
    ],
)
def test_a_number_that_is_too_large_or_has_a_unit_is_told(
    name: str, value: str, words: str
) -> None:
    """What would overflow later is refused at the start."""
    (problem,) = problems({name: value}, SERVICE)

    assert problem.startswith(f"{name}: must be a")
    assert words in problem
