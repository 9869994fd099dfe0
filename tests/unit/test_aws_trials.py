"""The AWS SDK tries the `AWS_` variables at the start, and each problem names its variable."""

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
        ({"AWS_SECRET_ACCESS_KEY": ""}, ["AWS_*"]),
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
