"""Bodies that cannot be read, keys that are not known, paths that do not exist."""

import http.client
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from stack.stack import Stack
from tests.http.conftest import MODEL, SMALL_BODY, Caller, NothingTakenIn, Rotating

GOOD = b'{"model": "flux-pro-1.1", "input": {"prompt": "a good body"}}'
MakeCaller = Callable[[str, str | None], Caller]


def check_problem(answer: httpx.Response, status: int, kind: str) -> str:
    """Check that an answer is a problem document; return its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["type"] == f"urn:fluxrelay:problem:{kind}"
    return str(document["detail"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        GOOD[:-1],
        GOOD + b"}",
        b"\xff" + GOOD,
        GOOD.replace(b"a good body", b"\xc3"),
        b"model=flux-pro-1.1",
        GOOD.replace(b'"a good body"', b"NaN"),
        GOOD.replace(b'"a good body"', b"1" * 5000),
    ],
)
def test_broken_json(api: Caller, nothing_taken_in: NothingTakenIn, content: bytes) -> None:
    """A body that is no JSON is refused with 400, and no job appears."""
    with nothing_taken_in():
        answer = api.post(content=content)
    assert "not valid JSON" in check_problem(answer, 400, "invalid-json")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (GOOD.replace(b"a good body", b"\xc3"), "not in UTF-8 (byte"),
        (GOOD.decode().encode("utf-16"), "it is in UTF-16; send it in UTF-8"),
        (GOOD.decode().encode("utf-16-be"), "it is in UTF-16-BE; send it in UTF-8"),
        (GOOD.decode().encode("utf-32-le"), "it is in UTF-32-LE; send it in UTF-8"),
        (GOOD.replace(b'"a good body"', b"NaN"), "NaN is no value of JSON"),
        (GOOD.replace(b'"a good body"', b"-Infinity"), "-Infinity is no value of JSON"),
        (GOOD.replace(b'"a good body"', b"1e400"), "the number '1e400' is too large"),
        (GOOD.replace(b'"a good body"', b"1" * 5000), "thousands of digits"),
        (b"[" * 200_000, "nested deeper"),
        (b"[" * 150 + b"]" * 150, "than 100 levels"),
        (GOOD.replace(b"a good body", b"a\nbody"), "Invalid control character at line"),
        (b'{"model": "flux-dev', "Unterminated string starting at line"),
    ],
)
def test_the_cause_alone_is_named(
    api: Caller, nothing_taken_in: NothingTakenIn, content: bytes, cause: str
) -> None:
    """What is wrong with the text is said, and nothing that might have been."""
    with nothing_taken_in():
        answer = api.post(content=content)
    detail = check_problem(answer, 400, "invalid-json")
    assert cause in detail
    assert "at at" not in detail


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (GOOD[:-1] + b', "model": "flux-dev"}', "model"),
        (GOOD.replace(b'"prompt"', b'"prompt": "another", "pr\\u006fmpt"'), "prompt"),
        (GOOD[:-1] + b', "metadata": {"order": 1, "order": 1}}', "order"),
    ],
)
def test_a_field_that_comes_twice(
    api: Caller, nothing_taken_in: NothingTakenIn, content: bytes, name: str
) -> None:
    """A body with two fields of one name is refused with 400, which names it."""
    with nothing_taken_in():
        answer = api.post(content=content)
    assert f"two fields named '{name}'" in check_problem(answer, 400, "duplicate-field")


def test_place_of_the_mistake(api: Caller) -> None:
    """The problem of broken JSON says where it breaks."""
    detail = check_problem(api.post(content=b'{\n  "model": }'), 400, "invalid-json")
    assert "line 2, column 12" in detail


def test_regression_endless_number(api: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """1e999 is refused; it was accepted as infinity, which then could not be shown as JSON."""
    with nothing_taken_in():
        answer = api.post(content=GOOD[:-1] + b', "metadata": {"x": 1e999}}')
    check_problem(answer, 400, "invalid-json")


def test_a_whole_surrogate_pair_is_a_character(api: Caller) -> None:
    """Metadata that is escaped as a pair comes back as what it means, also from a GET."""
    job_id = api.create("odd metadata", metadata={"whole": "\U0001f600"})
    assert api.ended(job_id)["metadata"] == {"whole": "\U0001f600"}


def test_too_large_as_stated(relay: Stack, nothing_taken_in: NothingTakenIn) -> None:
    """A stated length above the limit is refused before a byte of the body is read."""
    connection = http.client.HTTPConnection(urlsplit(relay.service_url).netloc, timeout=60)
    connection.putrequest("POST", "/v1/jobs")
    connection.putheader("x-key", relay.api_key)
    connection.putheader("content-length", str(289 * 1024 * 1024))
    with nothing_taken_in():
        connection.endheaders()
        answer = connection.getresponse()
    assert answer.status == 413
    assert answer.getheader("content-type") == "application/problem+json"
    assert str(288 * 1024 * 1024) in answer.read().decode()
    connection.close()


def test_too_large_as_stream(
    rotating: Rotating, relay: Stack, callers: MakeCaller, nothing_taken_in: NothingTakenIn
) -> None:
    """A body without a stated length is refused where it passes the limit."""

    def pieces() -> Iterator[bytes]:
        yield GOOD
        yield b" " * SMALL_BODY

    caller = callers(rotating.url, relay.api_key)
    with nothing_taken_in():
        answer = caller.post(content=pieces())
    assert str(SMALL_BODY) in check_problem(answer, 413, "body-too-large")


def test_just_small_enough(rotating: Rotating, relay: Stack, callers: MakeCaller) -> None:
    """A stream of exactly the limit is a job."""

    def pieces() -> Iterator[bytes]:
        yield GOOD
        yield b" " * (SMALL_BODY - len(GOOD))

    caller = callers(rotating.url, relay.api_key)
    assert caller.post(content=pieces()).status_code == 202


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "missing-key"),
        ({"authorization": "Bearer"}, "missing-key"),
        ({"x-key": ""}, "missing-key"),
        ({"authorization": "Basic c2VjcmV0OnNlY3JldA=="}, "missing-key"),
        ({"x-key": "a-wrong-key-of-some-length"}, "wrong-key"),
        ({"authorization": "Bearer a-wrong-key-of-some-length"}, "wrong-key"),
        ({"x-key": "schl\u00fcssel".encode()}, "wrong-key"),
        ({"authorization": b"Bearer \xff\xfe\x80"}, "wrong-key"),
        ({"x-key": "\u202e\u0130".encode()}, "wrong-key"),
    ],
)
@pytest.mark.parametrize("target", [("POST", "/v1/jobs"), ("GET", "/v1/jobs/some-id")])
def test_no_or_wrong_key(
    api: Caller,
    nothing_taken_in: NothingTakenIn,
    headers: dict[str, str | bytes],
    kind: str,
    target: tuple[str, str],
) -> None:
    """Without a known key nothing is read or taken in, and the problem says how to send one."""
    raw = [
        (name.encode(), value.encode() if isinstance(value, str) else value)
        for name, value in headers.items()
    ]
    with nothing_taken_in():
        answer = api.client.request(*target, headers=raw, content=GOOD)
    detail = check_problem(answer, 401, kind)
    assert "key" in detail
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_key_as_part_of_another(relay: Stack, callers: MakeCaller) -> None:
    """The beginning of a key, and a key with more behind it, are wrong keys."""
    for key in (relay.api_key[:-1], relay.api_key + "x", relay.api_key.swapcase()):
        check_problem(callers(relay.service_url, key).post(content=GOOD), 401, "wrong-key")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/jobs/", 404, "not-found"),
        ("GET", "/v1/dead-letters/other", 404, "not-found"),
        ("POST", "/webhooks/other/some-id", 404, "not-found"),
        ("GET", "/v1/jobs/a/b", 404, "not-found"),
        ("PUT", "/v1/jobs", 405, "method-not-allowed"),
        ("PUT", "/v1/jobs/some-id", 405, "method-not-allowed"),
        ("GET", "/webhooks/bfl/some-id", 405, "method-not-allowed"),
    ],
)
def test_unknown_path_or_method(
    api: Caller, method: str, path: str, status: int, kind: str
) -> None:
    """An unknown path or method is a problem document too; 405 says what is allowed."""
    answer = api.client.request(method, path)
    check_problem(answer, status, kind)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("job_id", ["no-such-job", "%00", "%FF", "...", "x" * 3000, MODEL])
def test_unknown_job(api: Caller, job_id: str) -> None:
    """A job that never was is not found, however its id is written."""
    answer = api.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_jobs_are_their_owners(
    rotating: Rotating, relay: Stack, callers: MakeCaller, api: Caller
) -> None:
    """A key sees its own jobs only; somebody else's job looks like none at all."""
    other = callers(rotating.url, rotating.other_key)
    mine, theirs = api.create("mine"), other.create("theirs")
    own = callers(rotating.url, relay.api_key)
    assert own.job(mine)["id"] == mine
    assert other.job(theirs)["id"] == theirs
    stranger = other.get(f"/v1/jobs/{mine}")
    nobody = other.get("/v1/jobs/00000000-0000-7000-8000-000000000000")
    check_problem(stranger, 404, "no-such-job")
    assert stranger.json() == nobody.json()
    check_problem(own.get(f"/v1/jobs/{theirs}"), 404, "no-such-job")
