"""Large objects in parts: stored once and whole, on any server."""

import io
import tempfile
import tracemalloc
from collections.abc import Callable
from hashlib import file_digest, sha256
from typing import Any

import pytest

from core.errors import StorageUnavailable
from core.storage.object_store import ObjectStore
from tests.contract.large_objects import BODY, KEY, PART, put_large, unfinished
from tests.fake_s3 import Stored
from tests.multipart_s3 import MultipartS3


def test_a_large_object_is_stored_as_it_was_sent(real_in_parts: ObjectStore) -> None:
    """Bytes, size, checksum, type and metadata can be read back, and no parts remain."""
    assert put_large(real_in_parts)

    assert b"".join(real_in_parts.chunks(KEY)) == BODY
    there = real_in_parts.head(KEY)
    assert there is not None
    assert (there.size, there.sha256) == (len(BODY), sha256(BODY).hexdigest())
    assert (there.metadata["job-id"], there.metadata["seconds"]) == ("1", "5.0")
    assert there.content_type == "video/mp4"
    assert there.whole
    assert not unfinished(real_in_parts)


def test_a_large_object_does_not_overwrite_another(real_in_parts: ObjectStore) -> None:
    """The second writer is told that the key is taken, and leaves no parts."""
    assert put_large(real_in_parts, b"first" * 500_000)

    assert not put_large(real_in_parts, job="2")

    assert b"".join(real_in_parts.chunks(KEY)) == b"first" * 500_000
    assert not unfinished(real_in_parts)


def test_a_large_object_may_take_the_place_of_a_part(real_in_parts: ObjectStore) -> None:
    """What a server kept only in part is replaced as a whole."""
    assert put_large(real_in_parts, b"half")

    real_in_parts.replace(
        KEY,
        io.BytesIO(BODY),
        sha256=sha256(BODY).digest(),
        content_type="video/mp4",
        metadata={"job-id": "1"},
    )

    assert b"".join(real_in_parts.chunks(KEY)) == BODY


def test_a_large_object_takes_no_memory(real_in_parts: ObjectStore) -> None:
    """However large an object and its parts are, a few pieces of it are held at a time."""
    size = 64 * 1024 * 1024
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        digest = file_digest(file, sha256).digest()
        tracemalloc.start()
        try:
            facts: dict[str, Any] = {"sha256": digest, "content_type": "video/mp4"}
            assert real_in_parts.put_once(KEY, file, **facts, metadata={"job-id": "1"})
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    there = real_in_parts.head(KEY)
    assert there is not None
    assert there.size == size
    assert peak < PART


def test_each_part_shows_a_sign_of_life(in_parts: ObjectStore, multipart_s3: MultipartS3) -> None:
    """A lease is renewed while a large object is sent; nothing is at the key before its end."""
    beats: list[list[str]] = []

    assert put_large(in_parts, alive=lambda: beats.append(multipart_s3.stored_keys()))

    assert beats == [[], [], []]
    assert multipart_s3.stored_keys() == [KEY]
    assert multipart_s3.objects[KEY].body == BODY


def test_a_taken_key_costs_no_upload(in_parts: ObjectStore, multipart_s3: MultipartS3) -> None:
    """What another run stored is seen before a byte is sent."""
    assert put_large(in_parts)
    before = multipart_s3.count("POST")

    assert not put_large(in_parts)

    assert multipart_s3.count("POST") == before


@pytest.mark.parametrize("ignores", [True, False])
def test_another_writer_meanwhile_wins(
    in_parts: ObjectStore, multipart_s3: MultipartS3, *, ignores: bool
) -> None:
    """A key that is taken while parts are sent is seen before they are joined."""
    multipart_s3.multipart.ignores_condition = ignores

    def meanwhile(number: int) -> None:
        if number == 2:
            multipart_s3.multipart.on_part = lambda _: None
            multipart_s3.lock.release()
            try:
                other = ObjectStore(multipart_s3.bucket, timeout=5)
                assert put_large(other, b"theirs", job="2")
                other._client.close()  # noqa: SLF001 - its sockets are closed at exit
            finally:
                multipart_s3.lock.acquire()

    multipart_s3.multipart.on_part = meanwhile

    assert not put_large(in_parts)

    assert multipart_s3.objects[KEY].body == b"theirs"
    assert not multipart_s3.unfinished


def test_another_writer_at_the_same_moment_wins(
    in_parts: ObjectStore, multipart_s3: MultipartS3
) -> None:
    """Between the last look at the key and the joining, the server's own check counts."""
    theirs = Stored(b"theirs", {"x-amz-meta-job-id": "2"})
    multipart_s3.multipart.on_join = lambda: multipart_s3.objects.update({KEY: theirs})

    assert not put_large(in_parts)

    assert multipart_s3.objects[KEY].body == b"theirs"
    assert not multipart_s3.unfinished


@pytest.mark.parametrize("lacks", ["lacks_checksums", "lacks_condition"])
def test_a_server_that_lacks_a_check_stores_it_all_the_same(
    in_parts: ObjectStore, multipart_s3: MultipartS3, lacks: str
) -> None:
    """MD5 takes the place of SHA-256, and a look at the key that of the condition."""
    setattr(multipart_s3.multipart, lacks, True)

    assert put_large(in_parts)
    assert not put_large(in_parts, job="2")

    assert multipart_s3.objects[KEY].body == BODY
    assert not multipart_s3.unfinished


def test_wrong_bytes_are_refused(in_parts: ObjectStore, multipart_s3: MultipartS3) -> None:
    """A file that is no longer the one that was checked is not stored."""
    with pytest.raises(StorageUnavailable, match="changed"):
        put_large(in_parts, digest=sha256(b"other").digest())

    assert multipart_s3.stored_keys() == []
    assert not multipart_s3.unfinished


@pytest.fixture
def make_part() -> Callable[[int], bytes]:
    """Return a function that makes a body of so many parts."""
    return lambda parts: b"x" * (parts * PART)


@pytest.mark.parametrize("parts", [1, 2])
def test_an_object_of_whole_parts_has_no_empty_one(
    in_parts: ObjectStore, multipart_s3: MultipartS3, make_part: Callable[[int], bytes], parts: int
) -> None:
    """A size that is a multiple of a part's makes just as many parts."""
    body = make_part(parts)

    assert put_large(in_parts, body)

    assert multipart_s3.objects[KEY].body == body
    assert multipart_s3.puts.count(KEY) == parts
