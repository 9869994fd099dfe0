"""The embedded S3 does what the relay's promises rest on."""

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from stack.servers.seaweed import SeaweedFS


def _checksum(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_conditional_put_has_one_winner(seaweed: SeaweedFS) -> None:
    """Of many writers of a new key with `If-None-Match: *` exactly one succeeds, with its bytes."""
    client = seaweed.client()

    def write(number: int) -> int:
        try:
            answer = client.put_object(
                Bucket="pictures", Key="one", Body=b"%d" % number, IfNoneMatch="*"
            )
        except ClientError as error:
            return _status(error)
        return answer["ResponseMetadata"]["HTTPStatusCode"]

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(write, range(16)))
    assert sorted(statuses) == [200] + [412] * 15
    stored = client.get_object(Bucket="pictures", Key="one")["Body"].read()
    assert int(stored) == statuses.index(200)


def test_a_wrong_checksum_is_refused(seaweed: SeaweedFS) -> None:
    """A body that does not match its ChecksumSHA256 is not stored."""
    client = seaweed.client()
    with pytest.raises(ClientError) as caught:
        client.put_object(
            Bucket="pictures", Key="torn", Body=b"bytes", ChecksumSHA256=_checksum(b"others")
        )
    assert _status(caught.value) == 400
    assert "Contents" not in client.list_objects_v2(Bucket="pictures", Prefix="torn")


def test_a_right_checksum_is_accepted(seaweed: SeaweedFS) -> None:
    """A body that matches its ChecksumSHA256 is stored whole."""
    client = seaweed.client()
    client.put_object(
        Bucket="pictures", Key="whole", Body=b"bytes", ChecksumSHA256=_checksum(b"bytes")
    )
    assert client.get_object(Bucket="pictures", Key="whole")["Body"].read() == b"bytes"


def test_a_wrong_secret_is_refused(seaweed: SeaweedFS) -> None:
    """The right access key with another secret gets nothing."""
    stranger = boto3.session.Session(region_name="us-east-1").client(
        "s3",
        endpoint_url=seaweed.endpoint,
        aws_access_key_id=seaweed.access_key,
        aws_secret_access_key="guessed",
    )
    with pytest.raises(ClientError) as caught:
        stranger.list_objects_v2(Bucket="pictures")
    assert _status(caught.value) == 403


def test_objects_survive_a_kill(seaweed: SeaweedFS) -> None:
    """Acknowledged objects are there after SIGKILL and a restart on the same ports."""
    client = seaweed.client()
    bodies = {f"kept/{number}": b"%d" % number * 1000 for number in range(20)}
    for key, body in bodies.items():
        client.put_object(Bucket="pictures", Key=key, Body=body)
    seaweed.process.kill()
    seaweed.process.restart()
    for key, body in bodies.items():
        assert client.get_object(Bucket="pictures", Key=key)["Body"].read() == body


def test_the_credentials_are_for_the_owner_alone(seaweed: SeaweedFS) -> None:
    """The file with the keys cannot be read by other users of the machine."""
    (configuration,) = Path(seaweed.process.log.parent).glob("s3.json")
    assert configuration.stat().st_mode & 0o077 == 0


def test_the_caller_s_own_profile_does_not_matter(
    seaweed: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client works whatever the AWS variables and proxies of the shell say."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert seaweed.client().list_buckets()["Buckets"][0]["Name"] == "pictures"
