"""The bucket, on a real S3 server: one winner, whole bytes, and words for what goes wrong."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from core.errors import Permanent, StorageUnavailable
from core.storage.aws_checks import credentials_problem
from core.storage.object_store import ObjectStore, StoredObject

BODY = bytes(range(256)) * 500


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """Return a prefix of the test's own, for the bucket outlives it."""
    return f"{request.node.name}/"


@pytest.fixture
def make(environment: dict[str, str], request: pytest.FixtureRequest) -> Callable[..., ObjectStore]:
    """Return a function that makes an object store, by default of the bucket that is there."""
    assert environment

    def store(bucket: str = "pictures", **options: Any) -> ObjectStore:
        made = ObjectStore(bucket, **options)
        request.addfinalizer(made._client.close)  # noqa: SLF001 - its sockets are closed at exit
        return made

    return store


@pytest.fixture(params=["first", "later"])
def objects(
    make: Callable[..., ObjectStore], prefix: str, request: pytest.FixtureRequest
) -> ObjectStore:
    """Return the object store before its first PUT, which boto3 sends, and after it."""
    made = make()
    if request.param == "later":
        assert _put(made, prefix + "put before")
    return made


def _put(objects: ObjectStore, key: str, body: bytes = BODY, digest: bytes | None = None) -> bool:
    return objects.put_once(
        key,
        io.BytesIO(body),
        sha256=digest or sha256(body).digest(),
        content_type="image/png",
        metadata={"job-id": "1", "seed": "42"},
    )


def _put_input(objects: ObjectStore, key: str, body: bytes, digest: bytes | None = None) -> None:
    checksum = digest or sha256(body).digest()
    objects.put(key, io.BytesIO(body), sha256=checksum, content_type="image/png")


def _read(objects: ObjectStore, key: str) -> bytes:
    return b"".join(objects.chunks(key))


def test_an_object_is_stored_as_it_was_sent(objects: ObjectStore, prefix: str) -> None:
    """Bytes, checksum, size and metadata can be read back."""
    assert _put(objects, prefix + "ä b.png")

    assert _read(objects, prefix + "ä b.png") == BODY
    there = objects.head(prefix + "ä b.png")
    assert there is not None
    assert (there.size, there.sha256) == (len(BODY), sha256(BODY).hexdigest())
    assert there.metadata["job-id"] == "1"
    assert there.metadata["seed"] == "42"


def test_a_key_is_written_once(objects: ObjectStore, prefix: str) -> None:
    """The second write is told so, and the first object stays."""
    assert _put(objects, prefix + "a", b"first")

    assert not _put(objects, prefix + "a", b"second")

    assert _read(objects, prefix + "a") == b"first"


def test_of_sixteen_writers_one_wins(make: Callable[..., ObjectStore], prefix: str) -> None:
    """At the same moment too, exactly one stores its bytes, and it is told so."""
    objects = make(connections=16)
    start = threading.Barrier(16)

    def put(number: int) -> bool:
        start.wait()
        return _put(objects, prefix + "a", f"writer {number}".encode())

    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(put, range(16)))

    assert outcomes.count(True) == 1
    assert _read(objects, prefix + "a") == f"writer {outcomes.index(True)}".encode()


def test_wrong_bytes_are_refused(objects: ObjectStore, prefix: str) -> None:
    """Bytes that are not those of the checksum are not stored."""
    with pytest.raises(StorageUnavailable, match="S3 refused to store the file"):
        _put(objects, prefix + "a", digest=sha256(b"other").digest())

    with pytest.raises(StorageUnavailable, match="S3 refused to store an input"):
        _put_input(objects, prefix + "a", BODY, digest=sha256(b"other").digest())

    assert objects.head(prefix + "a") is None


def test_an_input_is_read_in_pieces(objects: ObjectStore, prefix: str) -> None:
    """No piece is larger than asked for, and together they are the object."""
    _put_input(objects, prefix + "a", BODY)

    pieces = list(objects.chunks(prefix + "a", 1000))

    assert {len(piece) for piece in pieces} == {1000}
    assert b"".join(pieces) == BODY


def test_reading_may_be_broken_off(objects: ObjectStore, prefix: str) -> None:
    """A reader that stops in the middle leaves the store fit for the next."""
    _put_input(objects, prefix + "a", BODY)

    for _ in range(20):
        assert next(objects.chunks(prefix + "a", 1000)) == BODY[:1000]

    assert _read(objects, prefix + "a") == BODY


def test_put_overwrites(objects: ObjectStore, prefix: str) -> None:
    """An input may be written again with the same key."""
    for body in (b"first", b"second"):
        _put_input(objects, prefix + "a", body)

    assert _read(objects, prefix + "a") == b"second"


def test_what_is_not_there(objects: ObjectStore, prefix: str) -> None:
    """Looking finds nothing; an input that has to be there ends the job when it is not."""
    assert objects.head(prefix + "a") is None
    with pytest.raises(Permanent, match="is gone"):
        _read(objects, prefix + "a")


class _Late(ObjectStore):
    """Has an object deleted by somebody else right after it was looked at."""

    def head(self, key: str) -> StoredObject | None:
        """Look at it, and delete it."""
        found = super().head(key)
        self.delete_below(key)
        return found


def test_a_copy_of_what_went_meanwhile(environment: dict[str, str], prefix: str) -> None:
    """It is as if it had not been there."""
    assert environment
    objects = _Late("pictures")
    assert _put(objects, f"{prefix}source")

    assert not objects.copy(f"{prefix}source", f"{prefix}target")

    objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


def test_deleting_below_a_prefix(objects: ObjectStore, prefix: str) -> None:
    """Everything below it goes, nothing beside it, and doing it again does no harm."""
    for name in ("in/1", "in/2", "in/deep/3", "inside", "other"):
        _put_input(objects, prefix + name, b"x")

    assert objects.delete_below(prefix + "in/") == 3

    left = [name for name in ("in/1", "inside", "other") if objects.head(prefix + name)]
    assert left == ["inside", "other"]
    assert objects.delete_below(prefix + "in/") == 0


Act = Callable[[ObjectStore], object]
ACTS: list[Act] = [
    lambda objects: _put(objects, "k"),
    lambda objects: _put_input(objects, "k", b"x"),
    lambda objects: objects.head("k"),
    lambda objects: _read(objects, "k"),
    lambda objects: objects.delete_below("k"),
]


@pytest.mark.parametrize("act", ACTS)
def test_wrong_credentials_are_unavailable(
    make: Callable[..., ObjectStore], act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal may be mended by the operator while jobs wait; the error names no secret."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-key")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps what it found in the environment

    with pytest.raises(StorageUnavailable, match="S3 refused to") as caught:
        act(make())
    assert "wrong-secret-key" not in str(caught.value)


@pytest.mark.parametrize("act", ACTS)
def test_a_server_that_is_away_is_unavailable(
    make: Callable[..., ObjectStore], act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs wait until it is back."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")

    with pytest.raises(StorageUnavailable, match="S3 could not"):
        act(make())


@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_bucket_that_is_missing_is_unavailable(
    make: Callable[..., ObjectStore], number: int
) -> None:
    """Nothing is stored, and the bucket is not made; the operator can still make it."""
    with pytest.raises(StorageUnavailable, match="S3 refused to"):
        ACTS[number](make("no-such-bucket"))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away every place in which credentials could be found."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.mark.usefixtures("bare")
def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without any says so before it starts; with some there is no problem."""
    assert "AWS_ACCESS_KEY_ID" in str(credentials_problem())

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    assert credentials_problem() is None
