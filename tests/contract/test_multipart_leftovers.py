"""Uploads in parts that fail or whose worker dies: nothing is left behind, nothing is lost."""

from itertools import count
from typing import Any

import pytest

from core.errors import StorageUnavailable
from core.storage.object_store import ObjectStore
from tests.contract.large_objects import BODY, KEY, put_large, unfinished
from tests.fake_s3 import Refusal
from tests.multipart_s3 import MultipartS3


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_part_that_fails_leaves_nothing(
    in_parts: ObjectStore, multipart_s3: MultipartS3, number: int
) -> None:
    """The upload fails as a whole, its parts are removed, and the next one goes well."""
    multipart_s3.multipart.refuses_part[number] = Refusal(
        503, "SlowDown", "Please reduce your rate"
    )

    with pytest.raises(StorageUnavailable, match="SlowDown"):
        put_large(in_parts)
    assert not multipart_s3.unfinished
    assert multipart_s3.stored_keys() == []

    assert put_large(in_parts)
    assert multipart_s3.objects[KEY].body == BODY


def test_a_sign_of_life_that_fails_leaves_nothing(
    in_parts: ObjectStore, multipart_s3: MultipartS3
) -> None:
    """Whatever ends an upload, its parts are removed."""

    def alive() -> None:
        raise LookupError("Redis is away")

    with pytest.raises(LookupError):
        put_large(in_parts, alive=alive)

    assert not multipart_s3.unfinished


def test_what_a_dead_run_left_is_removed(in_parts: ObjectStore, multipart_s3: MultipartS3) -> None:
    """The next upload to the key removes the parts, and touches no other key's."""
    client: Any = in_parts._client  # noqa: SLF001 - as a process that died
    for key in (KEY, f"{KEY}.draft_cache.bin", "videos/other"):
        begun = client.create_multipart_upload(Bucket=multipart_s3.bucket, Key=key)
        part = {"PartNumber": 1, "UploadId": begun["UploadId"], "Body": b"x"}
        client.upload_part(Bucket=multipart_s3.bucket, Key=key, **part)

    assert put_large(in_parts)

    assert {upload.key for upload in multipart_s3.unfinished.values()} == {
        f"{KEY}.draft_cache.bin",
        "videos/other",
    }
    assert in_parts.abort_uploads(f"{KEY}.draft_cache.bin") == 1
    assert [upload.key for upload in multipart_s3.unfinished.values()] == ["videos/other"]


class Killed(BaseException):
    """The process died."""


@pytest.mark.parametrize("request_", range(1, 10))
def test_a_run_that_dies_anywhere_is_made_good_by_the_next(
    in_parts: ObjectStore, multipart_s3: MultipartS3, request_: int
) -> None:
    """Killed before any of its requests: the next run leaves one whole object and no parts."""
    sent = count(1)

    def die(**_request: object) -> None:
        if next(sent) >= request_:
            raise Killed

    events = in_parts._client.meta.events  # noqa: SLF001 - where every request passes
    events.register("before-send.s3", die)
    with pytest.raises(Killed):
        put_large(in_parts)
    events.unregister("before-send.s3", die)

    stored = put_large(in_parts)

    # Before its last request, which is a look at the object, it was stored already.
    assert stored == (request_ < 9)
    assert multipart_s3.objects[KEY].body == BODY
    assert not multipart_s3.unfinished


def test_leftovers_on_a_real_server_are_found(real_in_parts: ObjectStore) -> None:
    """Its list of unfinished uploads is understood."""
    real_in_parts._client.create_multipart_upload(Bucket=real_in_parts.bucket, Key=KEY)  # noqa: SLF001 - as a process that died

    assert real_in_parts.abort_uploads(KEY) == 1

    assert not unfinished(real_in_parts)


@pytest.mark.parametrize("status", [403, 501])
def test_leftovers_that_may_not_be_listed_stop_nothing(
    in_parts: ObjectStore, multipart_s3: MultipartS3, status: int
) -> None:
    """Without that right, a lifecycle rule removes them, and results are stored all the same."""
    multipart_s3.multipart.hides_uploads = Refusal(status, "AccessDenied", "Access Denied")

    assert put_large(in_parts)

    assert multipart_s3.objects[KEY].body == BODY


def test_a_concurrent_run_s_parts_are_not_joined(
    in_parts: ObjectStore, multipart_s3: MultipartS3
) -> None:
    """A slow run whose upload the next one removed fails, and finds the other's object later."""

    def removed(number: int) -> None:
        if number == 2:
            multipart_s3.unfinished.clear()

    multipart_s3.multipart.on_part = removed

    with pytest.raises(StorageUnavailable, match="NoSuchUpload"):
        put_large(in_parts)
    assert multipart_s3.stored_keys() == []


def test_an_object_whose_answer_is_lost_is_found(
    in_parts: ObjectStore, multipart_s3: MultipartS3
) -> None:
    """The parts were joined and nobody was told: the next run finds the object, and sends none."""
    multipart_s3.multipart.loses_answers = 1
    with pytest.raises(StorageUnavailable):
        put_large(in_parts)
    before = multipart_s3.begun

    assert not put_large(in_parts)

    assert (multipart_s3.begun, multipart_s3.objects[KEY].body) == (before, BODY)
