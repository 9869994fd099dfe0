"""Requests to S3 are signed as its documentation says."""

from hashlib import sha256

from core.s3_signing import Signer

#: "Signature Calculations for the Authorization Header", example of PUT Object.
AT = 1_369_353_600.0
KEYS = Signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None)
URL = "https://examplebucket.s3.amazonaws.com/test%24file.text"
HEADERS = {
    "date": "Fri, 24 May 2013 00:00:00 GMT",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
}
BODY = sha256(b"Welcome to Amazon S3.").digest()


def test_the_documented_example() -> None:
    """The signature is the one that the documentation states."""
    headers = KEYS.put_headers(URL, HEADERS, body=BODY, region="us-east-1", at=AT)

    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 "
        "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )


def test_a_session_s_token_is_signed_too() -> None:
    """Keys that are lent for a while come with a token."""
    lent = Signer(KEYS.access_key, KEYS.secret_key, "a token")

    headers = lent.put_headers(URL, HEADERS, body=BODY, region="us-east-1", at=AT)

    assert headers["x-amz-security-token"] == "a token"
    assert "x-amz-security-token" in headers["authorization"]
    assert "98ad7217" not in headers["authorization"]


def test_all_that_is_said_is_signed() -> None:
    """Another value of any header is another signature."""
    first = KEYS.put_headers(URL, HEADERS, body=BODY, region="us-east-1", at=AT)
    seen = {first["authorization"]}

    for name in HEADERS:
        changed = HEADERS | {name: "other"}
        seen.add(
            KEYS.put_headers(URL, changed, body=BODY, region="us-east-1", at=AT)["authorization"]
        )
    for url, region, at in ((URL + "2", "a", AT), (URL, "b", AT), (URL, "us-east-1", AT + 1)):
        seen.add(KEYS.put_headers(url, HEADERS, body=BODY, region=region, at=at)["authorization"])

    assert len(seen) == 6
