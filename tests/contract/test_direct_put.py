"""PUTs that boto3 does not send: the same objects, and boto3's word where anything is unusual."""

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

import pytest

from core.errors import StorageUnavailable
from core.storage.object_store import ObjectStore
from tests.contract.scripted_server import ScriptedServer, answer

BODY = b"pixels" * 1000
CHECKSUM = base64.b64encode(sha256(BODY).digest()).decode()


def _put(objects: ObjectStore, key: str, **more: str) -> bool:
    return objects.put_once(
        key,
        io.BytesIO(BODY),
        sha256=sha256(BODY).digest(),
        content_type="image/png",
        metadata={"job-id": "1", **more},
    )


@pytest.fixture
def boto3_puts(monkeypatch: pytest.MonkeyPatch) -> Callable[[ObjectStore], list[str]]:
    """Return a function that notes the keys that a store has boto3 put from now on."""

    def watch(objects: ObjectStore) -> list[str]:
        keys: list[str] = []
        put: Any = objects._client.put_object  # noqa: SLF001 - this is what is tested

        def noting(**arguments: Any) -> Any:
            keys.append(arguments["Key"])
            return put(**arguments)

        monkeypatch.setattr(objects._client, "put_object", noting)  # noqa: SLF001 - see above
        return keys

    return watch


@pytest.fixture
def objects(environment: Mapping[str, str]) -> Iterator[ObjectStore]:
    """Return the bucket of a real S3 server."""
    assert environment
    made = ObjectStore("pictures")
    yield made
    made._client.close()  # noqa: SLF001 - its sockets are closed at exit


def test_one_put_is_boto3_s_and_the_rest_are_ours(
    objects: ObjectStore, boto3_puts: Callable[[ObjectStore], list[str]]
) -> None:
    """What is stored by both can be told apart by nothing."""
    keys = boto3_puts(objects)

    assert _put(objects, "direct/ä first.png")
    assert _put(objects, "direct/ä ~later+&=.png")
    assert not _put(objects, "direct/ä ~later+&=.png")

    assert keys == ["direct/ä first.png"]
    first, later = objects.head("direct/ä first.png"), objects.head("direct/ä ~later+&=.png")
    assert first == later
    assert b"".join(objects.chunks("direct/ä ~later+&=.png")) == BODY


def test_what_headers_cannot_hold_is_left_to_boto3(
    objects: ObjectStore, boto3_puts: Callable[[ObjectStore], list[str]]
) -> None:
    """It refuses metadata that is not ASCII, in its own words."""
    _put(objects, "direct/ascii")
    keys = boto3_puts(objects)

    with pytest.raises(StorageUnavailable, match="ParamValidationError"):
        _put(objects, "direct/not ascii", model="größer")

    assert keys == ["direct/not ascii"]


@pytest.fixture
def scripted(
    server: ScriptedServer, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ObjectStore]:
    """Return a bucket on a scripted server that has taken one object."""
    assert environment
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
    server.script = answer(200, b"", f"x-amz-checksum-sha256: {CHECKSUM}")
    made = ObjectStore("pictures")
    assert _put(made, "one")
    yield made
    made._client.close()  # noqa: SLF001 - its sockets are closed at exit


def _error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (500, "InternalError"), (403, "AccessDenied"), (400, "Odd"), (404, "404")],
)
def test_a_refusal_is_named_by_s3_s_own_code(
    scripted: ObjectStore, server: ScriptedServer, status: int, code: str
) -> None:
    """One try is one request, whoever is to blame."""
    server.requests.clear()
    server.script = answer(status, _error(code))

    with pytest.raises(StorageUnavailable, match=code):
        _put(scripted, "two")

    assert [request.method for request in server.requests] == ["PUT"]
    assert {request.target for request in server.requests} == {"/pictures/two"}


@pytest.mark.parametrize("body", [b"PreconditionFailed", b"Another", b""])
def test_a_key_that_is_taken_is_no_error(
    scripted: ObjectStore, server: ScriptedServer, body: bytes
) -> None:
    """It is understood at the first request, by the status alone if need be."""
    server.requests.clear()
    server.script = answer(412, _error(body.decode()) if body else b"")

    assert not _put(scripted, "two")

    assert len(server.requests) == 1
    assert server.requests[0].body == BODY


def test_new_credentials_are_used(
    scripted: ObjectStore, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys may be lent for a while only, so each request is signed with those of its time."""
    lent: Any = scripted._direct._session.get_credentials()  # noqa: SLF001 - no public way in
    monkeypatch.setattr(lent, "access_key", "ANOTHER")
    monkeypatch.setattr(lent, "token", "a token")

    assert _put(scripted, "two")

    headers = server.requests[-1].headers
    assert "Credential=ANOTHER/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "a token"


def test_what_is_sent_is_what_boto3_sends(scripted: ObjectStore, server: ScriptedServer) -> None:
    """But for headers that say who sends, and when, both requests are the same."""
    assert _put(scripted, "two")

    first, later = server.requests
    named = {*later.headers} - {"authorization", "x-amz-date", "user-agent"}
    assert named <= {*first.headers}
    assert {name: later.headers[name] for name in named} == {
        name: first.headers[name] for name in named
    }
    unnamed = {*first.headers} - {*later.headers}
    assert unnamed <= {"expect", "amz-sdk-invocation-id", "amz-sdk-request"}
    assert (first.method, first.body) == (later.method, later.body)
