"""The AWS session: the region that our files name, and empty variables that say nothing."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from core.storage.aws_checks import aws_problems, credentials_problem
from core.storage.aws_session import aws_session
from core.storage.object_store import ObjectStore

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave nothing of AWS in the environment but keys and a file with one profile."""
    for name in ("REGION", "DEFAULT_REGION", "PROFILE", "ENDPOINT_URL", "ENDPOINT_URL_S3"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    profile = tmp_path / "config"
    profile.write_text("[default]\nregion = sa-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-west-2"}, "us-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": ""}, "eu-west-1"),
        ({"AWS_REGION": " ", "AWS_DEFAULT_REGION": ""}, "sa-east-1"),
        ({}, "sa-east-1"),
    ],
)
def test_both_names_of_the_region_work(
    variables: Mapping[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`AWS_REGION` wins, an empty variable is none, and then the profile's region counts."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert aws_session().region_name == region


@pytest.mark.parametrize(
    "name", ["AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"]
)
def test_an_empty_variable_is_as_good_as_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that list every variable, most of them empty, change nothing."""
    monkeypatch.setenv(name, "")

    objects = ObjectStore("pictures")

    assert objects._client.meta.endpoint_url == "https://s3.sa-east-1.amazonaws.com"  # noqa: SLF001 - what the SDK made of it
    assert credentials_problem() is None
    objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


def test_empty_keys_are_missing_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are named as missing, and not sent."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in KEYS:
        monkeypatch.setenv(name, "")

    assert "AWS_ACCESS_KEY_ID" in str(credentials_problem())


@pytest.mark.parametrize("around", ["{}\n", " {}", "{}\r\n"])
def test_blanks_around_a_value_are_no_part_of_it(
    around: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key from a file that ends with a newline is that key."""
    for name in KEYS:
        monkeypatch.setenv(name, around.format("a-key"))

    credentials = aws_session().get_credentials()

    assert credentials is not None
    assert (credentials.access_key, credentials.secret_key) == ("a-key", "a-key")


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_METADATA_SERVICE_TIMEOUT", "x"), ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "many")],
)
def test_a_number_that_is_none_is_a_problem(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What botocore reads only as it comes to it is told at the start, without a traceback."""
    monkeypatch.setenv(name, value)

    (problem,) = aws_problems()
    assert problem.startswith(f"{name}: must be a whole number")
    assert credentials_problem() is None


@pytest.mark.parametrize(
    "url", ["http://s3.example/x?y=1", "http://user:pw@s3.example", "http://s3.example/#a"]
)
def test_an_endpoint_with_more_than_an_address(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the SDK would fail at with every request is told at the start."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)

    (problem,) = aws_problems()
    assert problem.startswith("AWS_ENDPOINT_URL_S3: ")


def test_the_models_of_the_sdk_are_read_once() -> None:
    """A session does not parse again what an earlier one has parsed."""
    first, second = (
        aws_session()._session.get_component("data_loader").load_service_model("s3", "service-2")  # noqa: SLF001 - the SDK has no other way to see it
        for _ in range(2)
    )

    assert first is second
