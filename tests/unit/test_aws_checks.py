"""The AWS SDK tries the `AWS_` variables at the start, and each problem names its variable."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.startup import PASSWORD, problems

pytestmark = pytest.mark.usefixtures("bare_environment")


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"AWS_PROFILE": "nobody"}, ["AWS_PROFILE"]),
        ({"AWS_ENDPOINT_URL_S3": "minio:9000"}, ["AWS_ENDPOINT_URL_S3"]),
        ({"AWS_ENDPOINT_URL_S3": "http://"}, ["AWS_ENDPOINT_URL_S3"]),
        ({"AWS_ENDPOINT_URL": f"ftp://u:{PASSWORD}@minio"}, ["AWS_ENDPOINT_URL"]),
        ({"AWS_REGION": "eu central 1"}, ["AWS_REGION"]),
        ({"AWS_DEFAULT_REGION": "Frankfurt!"}, ["AWS_DEFAULT_REGION"]),
        ({"AWS_CONFIG_FILE": "/nowhere/config"}, ["AWS_CONFIG_FILE"]),
        ({"AWS_CA_BUNDLE": "/nowhere/ca.pem"}, ["AWS_CA_BUNDLE"]),
        ({"AWS_CA_BUNDLE": "/etc/hosts"}, ["AWS_CA_BUNDLE"]),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, ["SSL_CERT_FILE"]),
        ({"SSL_CERT_FILE": "/etc/hosts"}, ["SSL_CERT_FILE"]),
        ({"AWS_SECRET_ACCESS_KEY": ""}, ["AWS_SECRET_ACCESS_KEY"]),
        ({"AWS_ACCESS_KEY_ID": " "}, ["AWS_ACCESS_KEY_ID"]),
        ({"AWS_RETRY_MODE": "sometimes"}, ["AWS_RETRY_MODE"]),
        ({"AWS_MAX_ATTEMPTS": "abc"}, ["AWS_MAX_ATTEMPTS"]),
        ({"AWS_MAX_ATTEMPTS": "0"}, ["AWS_MAX_ATTEMPTS"]),
        ({"AWS_METADATA_SERVICE_TIMEOUT": "1.5"}, ["AWS_METADATA_SERVICE_TIMEOUT"]),
        ({"AWS_REQUEST_CHECKSUM_CALCULATION": "now"}, ["AWS_REQUEST_CHECKSUM_CALCULATION"]),
        ({"AWS_RESPONSE_CHECKSUM_VALIDATION": "x"}, ["AWS_RESPONSE_CHECKSUM_VALIDATION"]),
        ({"AWS_DEFAULTS_MODE": "quick"}, ["AWS_DEFAULTS_MODE"]),
        ({"AWS_USE_FIPS_ENDPOINT": "yes"}, ["AWS_USE_FIPS_ENDPOINT"]),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "1"}, ["AWS_USE_DUALSTACK_ENDPOINT"]),
        ({"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "near"}, ["AWS_S3_US_EAST_1_REGIONAL_ENDPOINT"]),
        ({"AWS_REGION": '"eu-west-1"'}, ["AWS_REGION"]),
        ({"AWS_SESSION_TOKEN": f"'{PASSWORD}'"}, ["AWS_SESSION_TOKEN"]),
        ({"AWS_CA_BUNDLE": "/dev/zero"}, ["AWS_CA_BUNDLE"]),
        (
            {
                "AWS_USE_FIPS_ENDPOINT": "TRUE",
                "AWS_RETRY_MODE": "adaptive",
                "AWS_MAX_ATTEMPTS": "3",
            },
            [],
        ),
        ({"AWS_SESSION_TOKEN": "first\nsecond"}, ["AWS_SESSION_TOKEN"]),
        ({"AWS_SECRET_ACCESS_KEY": f"{PASSWORD} "}, []),
        ({"AWS_ACCESS_KEY_ID": "kéy"}, ["AWS_ACCESS_KEY_ID"]),
        (
            {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL_S3": "minio:9000", "AWS_REGION": "a b"},
            ["AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_PROFILE"],
        ),
        ({"AWS_ENDPOINT_URL_S3": "https://minio:9000", "AWS_REGION": "garage"}, []),
    ],
)
def test_what_the_aws_sdk_cannot_use_is_told_at_start(
    variables: Mapping[str, str], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each variable is named, all at once, and none of their values is a traceback."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert [line.partition(":")[0] for line in problems({})] == names


def test_a_profile_of_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is there is no problem."""
    path = tmp_path / "config"
    path.write_text("[profile mine]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_PROFILE", "mine")

    assert problems({}) == []


EVERYTHING = {
    "AWS_ENDPOINT_URL_S3": f"https://me:{PASSWORD}@minio",
    "AWS_ENDPOINT_URL": "minio",
    "AWS_CA_BUNDLE": "/nowhere/ca.pem",
    "AWS_REGION": "us east 1!",
    "AWS_RETRY_MODE": "sometimes",
    "AWS_MAX_ATTEMPTS": "abc",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "now and then",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "never",
    "AWS_USE_FIPS_ENDPOINT": "perhaps",
    "AWS_DEFAULTS_MODE": "quick",
    "AWS_PROFILE": "nobody",
    "AWS_SECRET_ACCESS_KEY": f"{PASSWORD}\n{PASSWORD}",
}


def test_all_problems_of_the_aws_sdk_come_at_once_beside_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None hides another, and a variable that was tried is still there afterwards."""
    for name, value in EVERYTHING.items():
        monkeypatch.setenv(name, value)

    found = problems({"FLUXRELAY_S3_BUCKET": "my bucket", "FLUXRELAY_RETRY_BASE_SECONDS": "99"})

    named = [line.partition(":")[0] for line in found]
    own = {"FLUXRELAY_S3_BUCKET", "FLUXRELAY_RETRY_MAX_SECONDS"}
    assert sorted(named) == sorted({*EVERYTHING, *own})
    assert {name: os.environ[name] for name in EVERYTHING} == EVERYTHING


@pytest.mark.parametrize("name", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize(
    "text", ["[default\nregion = \n", "region = eu-west-1\n", "[default]\n[default\n", "\x00\xff"]
)
def test_a_file_of_profiles_that_cannot_be_parsed_is_named(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its variable is named, nothing of it is shown, and the other variables are tried."""
    path = tmp_path / "file"
    path.write_bytes(text.encode("latin-1") + PASSWORD.encode())
    monkeypatch.setenv(name, str(path))
    monkeypatch.setenv("AWS_RETRY_MODE", "sometimes")
    monkeypatch.setenv("AWS_PROFILE", "mine")

    assert [line.partition(":")[0] for line in problems({})] == ["AWS_RETRY_MODE", name]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["retry_mode = sometimes"], ["retry_mode must be legacy, standard or adaptive"]),
        (["max_attempts = many"], ["max_attempts must be a whole number"]),
        (["endpoint_url = minio:9000"], ["endpoint_url must be an http:// or https:// URL"]),
        (["region = eu central"], ["region is not a region name"]),
        (["ca_bundle = /nowhere/ca.pem"], ["ca_bundle cannot be read"]),
        (
            ["use_fips_endpoint = on", f"endpoint_url = http://me:{PASSWORD}@minio"],
            ["endpoint_url must be", "use_fips_endpoint must be true or false"],
        ),
        (["region = eu-west-1", "retry_mode = standard", "use_fips_endpoint = True"], []),
    ],
)
def test_a_bad_value_of_a_profile_is_told_with_the_profile(
    lines: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the file is checked as the variables are."""
    path = tmp_path / "config"
    path.write_text("\n".join(["[profile mine]", *lines]))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_PROFILE", "mine")

    found = problems({})

    assert len(found) == len(words)
    for problem, expected in zip(found, words, strict=True):
        assert problem.startswith(f"AWS_CONFIG_FILE: profile mine: {expected}")
