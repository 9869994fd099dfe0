"""S3's code and message are read from the body of a refusal, however the server writes its XML."""

import pytest

from core.storage.s3_errors import Refusal

_UTF_8 = '<?xml version="1.0" encoding="UTF-8"?>'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "<Error><Code>Full</Code><Message><![CDATA[a & b <q> \u6876]]></Message></Error>",
            "a & b <q> \u6876",
        ),
        ("<Error><Code>Full</Code><Message>a <![CDATA[& b]]> c</Message></Error>", "a & b c"),
        ("<Error><Code>Full</Code><Message>a &amp; b &#x6876;</Message></Error>", "a & b \u6876"),
        (
            "<Error><Code>Full</Code><Message>see <a>the page</a> first</Message></Error>",
            "see the page first",
        ),
        ("<Error><Code>Full</Code><!-- why --><Message>\n  words\n</Message></Error>", "words"),
        (
            '<s:Error xmlns:s="urn:x"><s:Code>Full</s:Code><s:Message>m</s:Message></s:Error>',
            "m",
        ),
        ('<Error xmlns="urn:x"><Code lang="en">Full</Code><Message>m</Message></Error>', "m"),
        ("<R><Error><Code>Full</Code><Message>m</Message></Error></R>", "m"),
        ("<Error><Code>Full</Code><Message>m</Message><Resource>cut o", "m"),
        ("<Error><Code>Full</Code><Message>cut o", ""),
        ("<Error><Code>Full</Code></Error>", ""),
    ],
)
@pytest.mark.parametrize("start", ["", _UTF_8, "\ufeff" + _UTF_8])
def test_code_and_message_are_found(start: str, body: str, message: str) -> None:
    """CDATA, entities, prefixes, comments, children and bodies that were cut off are understood."""
    refusal = Refusal.read(403, (start + body).encode())

    assert (refusal.code, refusal.message) == ("Full", message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<Error><Code>Full</Code><Message>\xff words</Message></Error>", "\ufffd words"),
        (
            '<?xml version="1.0" encoding="UTF-16"?><Error><Code>Full</Code></Error>'.encode(
                "utf-16"
            ),
            "",
        ),
        (b'<?xml version="1.0" encoding="klingon"?><Error><Code>Full</Code></Error>', ""),
    ],
)
def test_odd_encodings_leave_the_rest_readable(body: bytes, message: str) -> None:
    """Bytes that nobody can read cost these bytes and not the code."""
    refusal = Refusal.read(403, body)

    assert (refusal.code, refusal.message) == ("Full", message)


@pytest.mark.parametrize(
    "body", [b"", b"teapot", b"<html><p>teapot<br></html>", b'{"Code": "Full"}', b"\x00\x01"]
)
def test_the_status_is_the_code_where_the_body_is_no_error_of_s3(body: bytes) -> None:
    """A proxy's page says nothing that could be taken for S3's words."""
    assert Refusal.read(418, body) == Refusal(418, "418")
