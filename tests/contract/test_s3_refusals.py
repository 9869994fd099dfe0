"""What S3 refuses: one request, S3's own words, and whose fault it is."""

import pytest

from core.errors import StorageUnavailable
from core.storage.object_store import ObjectStore
from core.storage.s3_errors import Refused, RequestRefused
from tests.contract.recorded_put import put_image, requests_of
from tests.fake_s3 import FakeS3, Refusal

REFUSALS = {
    "AccessDenied": (403, "Access Denied"),
    "InvalidArgument": (400, "The server-side encryption key id is not valid"),
    "InvalidRequest": (400, "Something about the request"),
    "EntityTooLarge": (400, "Your proposed upload is too large"),
    "ExpiredToken": (400, "The provided token has expired."),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "SlowDown": (503, "Please reduce your request rate."),
}


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("puts", [0, 1])
def test_a_refused_put_is_one_request_and_told_in_s3_s_words(
    untried: ObjectStore, s3: FakeS3, code: str, puts: int
) -> None:
    """Neither the first PUT nor a later one is sent twice, and none of this is the key's fault."""
    for number in range(puts):
        put_image(untried, f"{number}.png")
    status, message = REFUSALS[code]
    s3.capabilities.refusal = Refusal(status, code, message)

    def put() -> None:
        with pytest.raises(StorageUnavailable, match=f"{code}: {message}") as caught:
            put_image(untried, "a.png")
        assert not isinstance(caught.value, RequestRefused)

    assert requests_of(s3, put) == ["PUT"]


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(400, "KeyTooLongError", "Your key is too long"),
        Refusal(409, "XMinioObjectExistsAsDirectory", "Object name already exists as a directory."),
        Refusal(400, "InvalidArgument", "Object name contains unsupported characters."),
        Refusal(400, "InvalidRequest", "Invalid", ArgumentName="Key"),
    ],
)
def test_what_speaks_of_the_key_is_the_key_s(
    wary: ObjectStore, s3: FakeS3, refusal: Refusal
) -> None:
    """It is told apart from what the deployment has to mend."""
    put_image(wary, "before.png")
    s3.capabilities.refusal = refusal

    with pytest.raises(RequestRefused):
        put_image(wary, "a.png")


def test_no_secret_is_repeated(wary: ObjectStore, s3: FakeS3) -> None:
    """Addresses, access keys and signatures in S3's words are left out, and long words cut."""
    wary.probe_capabilities()
    told = f"AKIAIOSFODNN7EXAMPLE at https://a.example/?X-Amz-Signature=1 {'a' * 64} " + "b " * 400
    s3.capabilities.refusal = Refusal(403, "AccessDenied", told)

    with pytest.raises(Refused) as caught:
        put_image(wary, "a.png")

    text = str(caught.value)
    assert "AKIA" not in text
    assert "https" not in text
    assert "a" * 64 not in text
    assert len(text) < 300


@pytest.mark.parametrize(
    "hidden",
    ["10.0.0.7:9000", "192.168.1.20", "[fd00::1]:9000", "Access Key Id: fluxrelaykey", "x" * 0],
)
@pytest.mark.parametrize("length", [0, 3500])
def test_long_and_private_words_leave_the_rest(
    wary: ObjectStore, s3: FakeS3, hidden: str, length: int
) -> None:
    """What stays of S3's words is enough to know what it has against the request."""
    wary.probe_capabilities()
    told = f"The account is closed, says {hidden} " + "b" * length
    s3.capabilities.refusal = Refusal(403, "AccountProblem", told)

    with pytest.raises(Refused, match="AccountProblem: The account is closed, says") as caught:
        put_image(wary, "a.png")

    assert not hidden or hidden not in str(caught.value)


def test_a_bucket_that_moved_is_found_by_boto3(
    wary: ObjectStore, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The direct way cannot know where it is, and goes on from where boto3 found it."""
    assert put_image(wary, "a.png")
    s3.region = "eu-west-1"
    puts: list[str] = []
    real = wary._client.put_object  # noqa: SLF001 - what is asked is what is tested

    def put_object(**arguments: object) -> object:
        puts.append(str(arguments["Key"]))
        return real(**arguments)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(wary._client, "put_object", put_object)  # noqa: SLF001 - see above

    assert put_image(wary, "b.png")
    assert put_image(wary, "c.png")

    assert puts == ["b.png"]


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
@pytest.mark.parametrize("empty", ["", None])
def test_requests_are_signed_for_the_region_that_is_set(
    s3: FakeS3, monkeypatch: pytest.MonkeyPatch, name: str, empty: str | None
) -> None:
    """By either name, the other one empty or not there: the first request is taken."""
    s3.region = "eu-central-1"
    for each in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(each, raising=False)
        if each == name:
            monkeypatch.setenv(each, s3.region)
        elif empty is not None:
            monkeypatch.setenv(each, empty)
    made = ObjectStore(s3.bucket, timeout=2)

    assert requests_of(s3, lambda: put_image(made, "a.png")) == ["PUT"]
    made._client.close()  # noqa: SLF001 - its sockets are closed at exit
