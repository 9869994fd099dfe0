"""A process with missing or bad settings does not start, and names all of them at once."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import forked_programs

BOTH = ("FLUXRELAY_WEBHOOK_SECRET", "FLUXRELAY_REDIS_URL", "FLUXRELAY_S3_BUCKET")
AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
CONFIDENTIAL = "c0nf1dential"

#: Each of them is wrong; what holds the text above must not be repeated.
BAD = {
    "FLUXRELAY_WEBHOOK_SECRET": f"{CONFIDENTIAL}-too-short",
    "FLUXRELAY_API_KEYS": f"{CONFIDENTIAL}-a-key-without-a-name",
    "FLUXRELAY_REDIS_URL": f"redis://:{CONFIDENTIAL}/unescaped@127.0.0.1:6379/0",
    "FLUXRELAY_S3_BUCKET": "no/bucket",
    "FLUXRELAY_PROVIDER_URL": "http://127.0.0.1:port",
    "FLUXRELAY_PROVIDER_POLL_URLS": "http://127.0.0.1,ftp://127.0.0.1",
    "FLUXRELAY_PUBLIC_URL": "example.com",
    "FLUXRELAY_SLOTS": ",",
    "FLUXRELAY_MODELS_FILE": "/nowhere/models.json",
    "FLUXRELAY_REQUIRE_AOF": "maybe",
    "FLUXRELAY_S3_KEY_TEMPLATE": "{date}/{job_id:>99999999999}",
    "FLUXRELAY_PORT": "65536",
    "FLUXRELAY_MAX_BODY_BYTES": "inf",
    "FLUXRELAY_CALLBACK_ALLOW_NETS": "10.0.0.0/33",
    "FLUXRELAY_JOB_TTL_SECONDS": "0",
    "FLUXRELAY_JOB_DEADLINE_SECONDS": "-1",
    "FLUXRELAY_POLL_INTERVAL_SECONDS": "inf",
    "FLUXRELAY_WATCH_SECONDS": "nan",
    "FLUXRELAY_RETRY_BASE_SECONDS": "soon",
}
#: A worker's own ones.
BAD_FOR_WORKER = {
    "BFL_API_KEY": f"{CONFIDENTIAL} in two\nlines",
    "FLUXRELAY_WORKER_CONCURRENCY": "1.5",
}
SERVICE_ONLY = {"FLUXRELAY_API_KEYS", "FLUXRELAY_PORT", "FLUXRELAY_MAX_BODY_BYTES"}

GOOD = {
    "BFL_API_KEY": "provider-key-of-a-test",
    "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
    "FLUXRELAY_API_KEYS": "demo:api-key-of-a-test-0001",
    "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0",
    "FLUXRELAY_S3_BUCKET": "pictures",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


def start(arguments: list[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Start a process with these variables and nothing else; return how it ended."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **variables,
    }
    return forked_programs.run(arguments, environment)


def named(ended: subprocess.CompletedProcess[str]) -> set[str]:
    """Check that a process refused to start; return the variables that it names."""
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    title, *problems = ended.stderr.splitlines()
    assert "cannot start" in title
    assert "Traceback" not in ended.stderr
    return {name for problem in problems for name in problem.partition(": ")[0].strip().split(", ")}


def test_service_without_settings() -> None:
    """The service names every setting that it needs."""
    assert named(start(["service"], {})) == {*BOTH, *AWS, "FLUXRELAY_API_KEYS"}


def test_worker_without_settings() -> None:
    """A worker names every setting that it needs."""
    assert named(start(["worker", "submit"], {})) == {*BOTH, *AWS, "BFL_API_KEY"}


def test_unknown_role() -> None:
    """A role that is none is named with those there are, beside all settings."""
    ended = start(["worker", "nonsense"], {})
    role = {"FLUXRELAY_WORKER_ROLE", "or the argument"}
    assert named(ended) == {*BOTH, *AWS, "BFL_API_KEY", *role}
    assert "collect, notify, submit, sweep" in ended.stderr


def test_role_is_all_that_is_wrong() -> None:
    """A worker without a role does not start, though all settings are good."""
    assert named(start(["worker"], GOOD)) == {"FLUXRELAY_WORKER_ROLE", "or the argument"}


def test_service_with_bad_settings() -> None:
    """The service names every bad setting at once, and no secret's value."""
    ended = start(["service"], BAD)
    assert named(ended) == {*BAD, *AWS}
    assert CONFIDENTIAL not in ended.stderr


def test_worker_with_bad_settings() -> None:
    """A worker does the same, for the settings that it reads."""
    ended = start(["worker", "collect"], BAD | BAD_FOR_WORKER)
    assert named(ended) == {*BAD, *BAD_FOR_WORKER, *AWS} - SERVICE_ONLY
    assert CONFIDENTIAL not in ended.stderr


@pytest.mark.parametrize(
    "keys",
    [
        f"demo:{CONFIDENTIAL}",
        f"{CONFIDENTIAL}-as-the-name:short",
        f"demo:{CONFIDENTIAL}-long-enough,other:{CONFIDENTIAL}-long-enough",
        f"{CONFIDENTIAL}/with+signs/in-it",
        f"demo:{CONFIDENTIAL}-\u00fcber-ascii",
        ",",
    ],
)
def test_regression_keys_are_not_repeated(keys: str) -> None:
    """However API keys are mistyped, none of them is printed."""
    ended = start(["service"], {**GOOD, "FLUXRELAY_API_KEYS": keys})
    assert named(ended) == {"FLUXRELAY_API_KEYS"}
    assert CONFIDENTIAL not in ended.stderr


def test_secret_files(tmp_path: Path) -> None:
    """A secret's file that is not there, or stands beside the secret itself, is named."""
    path = tmp_path / "not-there"
    variables = {
        **{name: value for name, value in GOOD.items() if name != "FLUXRELAY_API_KEYS"},
        "FLUXRELAY_API_KEYS_FILE": str(path),
        "FLUXRELAY_WEBHOOK_SECRET_FILE": str(path),
    }
    ended = start(["service"], variables)
    assert named(ended) == {"FLUXRELAY_API_KEYS", "FLUXRELAY_WEBHOOK_SECRET"}
    assert "No such file" in ended.stderr
    assert "set twice" in ended.stderr


def test_doubt_that_is_too_short() -> None:
    """A doubt that would end before the submit's own time limit is refused."""
    short = {"FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": "30", "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS": "30"}
    ended = start(["worker", "submit"], GOOD | short)
    assert named(ended) == {"FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS"}


#: Each looks well, and fails only where it is used.
FAILS_LATER = {
    "FLUXRELAY_REDIS_URL": f"redis://:{CONFIDENTIAL}@127.0.0.1:1/0?ssl_cert_reqs=none",
    "AWS_ENDPOINT_URL_S3": "minio:9000",
    "AWS_PROFILE": "nobody",
    "AWS_REGION": "eu central",
    "SSL_CERT_FILE": "/nowhere/ca.pem",
}


@pytest.mark.parametrize("arguments", [["service"], ["worker", "collect"], ["worker", "sweep"]])
def test_what_would_fail_later_is_told_at_start(arguments: list[str]) -> None:
    """A process does not start with settings that would fail at each request, and names all."""
    ended = start(arguments, GOOD | FAILS_LATER)
    assert named(ended) == set(FAILS_LATER)
    assert CONFIDENTIAL not in ended.stderr


def test_the_operators_command_tells_it_too() -> None:
    """`dead-letters` ends with 2 and all problems, not with a traceback."""
    ended = start(["worker", "dead-letters", "list"], GOOD | FAILS_LATER)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert CONFIDENTIAL not in ended.stderr
    assert all(name in ended.stderr for name in FAILS_LATER)


def test_a_service_of_kubernetes_with_our_name_stops_nothing() -> None:
    """With the variables that Kubernetes sets, the other settings are all that is wrong."""
    injected = {"FLUXRELAY_PORT": "tcp://10.0.0.1:80", "FLUXRELAY_SERVICE_HOST": "10.0.0.1"}
    ended = start(["service"], GOOD | injected | {"FLUXRELAY_S3_BUCKET": "no/bucket"})
    assert named(ended) == {"FLUXRELAY_S3_BUCKET"}
