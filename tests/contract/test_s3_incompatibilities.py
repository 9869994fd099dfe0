"""Servers that do not do as S3 does: what we lose by it is made up for, and said."""

import io
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from core.errors import StorageUnavailable
from core.storage.bucket_capabilities import Condition
from core.storage.object_store import ObjectStore
from tests.contract.recorded_put import BODY, put_image, requests_of
from tests.fake_s3 import Capabilities, FakeS3, Refusal, Stored


def test_a_server_that_does_as_s3_does_gets_one_request_per_object(
    wary: ObjectStore, s3: FakeS3
) -> None:
    """The probes are put first; then each answer's own checksum is proof enough."""
    assert put_image(wary, "a.png")

    assert wary.probe_capabilities().problems == ""
    assert requests_of(s3, lambda: put_image(wary, "b.png")) == ["PUT"]
    assert s3.objects["b.png"].body == BODY
    assert not put_image(wary, "b.png", b"other", job="2")


def test_a_known_bucket_is_tried_with_few_requests(wary: ObjectStore, s3: FakeS3) -> None:
    """The first probe stays, so the next process finds its key taken at once."""
    wary.probe_capabilities()

    assert requests_of(s3, wary.probe_capabilities) == ["PUT", "PUT"]


@pytest.mark.parametrize(
    ("habits", "condition"),
    [
        (Capabilities(ignores_condition=True), Condition.IGNORED),
        (Capabilities(lacks_condition=True), Condition.REFUSED),
        (Capabilities(refuses=frozenset({"if-none-match"})), Condition.REFUSED),
        (Capabilities(ignores_condition=True, checks_nothing=True), Condition.IGNORED),
    ],
)
def test_no_server_overwrites_an_object(
    wary: ObjectStore,
    s3: FakeS3,
    habits: Capabilities,
    condition: Condition,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the condition is not kept, the key is looked at before, and that is said once."""
    s3.capabilities = habits
    with caplog.at_level(logging.WARNING):
        assert put_image(wary, "a.png", b"first", job="1")
        assert not put_image(wary, "a.png", b"second", job="2")

    assert s3.objects["a.png"].body == b"first"
    assert wary.probe_capabilities().condition is condition
    assert "If-None-Match" in wary.probe_capabilities().problems
    warnings = [each for each in caplog.records if each.getMessage() == "storage.habits"]
    assert len(warnings) == 1


def test_one_that_is_written_over_in_the_gap_is_not_taken_for_stored(
    wary: ObjectStore, s3: FakeS3
) -> None:
    """Somebody puts between our PUT and our second look: we are told that the key is theirs."""
    s3.capabilities = Capabilities(ignores_condition=True, states_checksum=False)
    wary.probe_capabilities()
    looks: list[str] = []
    real = wary.head

    def look(key: str) -> object:
        looks.append(key)
        if len(looks) == 2:  # the one behind the PUT
            s3.objects[key] = Stored(b"theirs", {"x-amz-meta-job-id": "2"})
        return real(key)

    wary.head = look  # type: ignore[method-assign,assignment] # somebody else's PUT comes here

    assert not put_image(wary, "a.png", job="1")
    assert s3.objects["a.png"].body == b"theirs"


@pytest.mark.parametrize("header", ["x-amz-checksum-sha256", "if-none-match"])
def test_a_header_that_is_refused_is_left_out(wary: ObjectStore, s3: FakeS3, header: str) -> None:
    """The image is stored all the same, in one request more once, and it is said."""
    s3.capabilities = Capabilities(refuses=frozenset({header}))

    assert put_image(wary, "a.png")

    assert s3.objects["a.png"].body == BODY
    assert header in wary.probe_capabilities().problems.lower()
    assert requests_of(s3, lambda: put_image(wary, "b.png")).count("PUT") == 1


def test_inputs_are_stored_without_a_refused_header_too(wary: ObjectStore, s3: FakeS3) -> None:
    """The service puts no probe: it learns from the refusal itself."""
    s3.capabilities = Capabilities(refuses=frozenset({"x-amz-checksum-sha256"}))

    def put() -> None:
        digest = sha256(BODY).digest()
        wary.put("_inputs/a", io.BytesIO(BODY), sha256=digest, content_type="image/png")

    assert requests_of(s3, put) == ["PUT", "PUT", "HEAD"]
    assert requests_of(s3, put) == ["PUT", "HEAD"]
    assert s3.objects["_inputs/a"].body == BODY


@pytest.mark.parametrize(
    "habits",
    [
        Capabilities(keeps=0, states_checksum=False),
        Capabilities(keeps=100, states_checksum=False),
        Capabilities(keeps=100, refuses=frozenset({"x-amz-checksum-sha256"})),
        Capabilities(keeps=100, refuses=frozenset({"x-amz-checksum-sha256", "if-none-match"})),
    ],
)
def test_a_200_is_not_yet_the_image(untried: ObjectStore, s3: FakeS3, habits: Capabilities) -> None:
    """What was not stored as a whole is no success, whatever the server answered."""
    s3.capabilities = habits
    with pytest.raises(StorageUnavailable, match="not those sent"):
        put_image(untried, "a.png")

    there = untried.head("a.png")
    assert there is not None
    assert not there.whole


def test_a_200_is_not_yet_an_input(untried: ObjectStore, s3: FakeS3) -> None:
    """A job is not accepted with an input that the server said it stored, and did not keep."""
    s3.capabilities = Capabilities(checks_nothing=True, states_checksum=False, keeps=10)

    with pytest.raises(StorageUnavailable, match="not those sent"):
        untried.put(
            "_inputs/1/image",
            io.BytesIO(BODY),
            sha256=sha256(BODY).digest(),
            content_type="image/png",
        )


def test_a_server_known_to_be_strict_is_not_looked_at(wary: ObjectStore, s3: FakeS3) -> None:
    """It says no checksum, but it was seen to refuse bytes that are not those of theirs."""
    s3.capabilities = Capabilities(states_checksum=False)
    put_image(wary, "a.png")

    assert requests_of(s3, lambda: put_image(wary, "b.png")) == ["PUT"]


def test_images_wait_while_a_server_is_tried(
    wary: ObjectStore, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ignores the condition is put nothing before that is known."""
    s3.capabilities = Capabilities(ignores_condition=True)
    begun, go_on = threading.Event(), threading.Event()
    real = wary._put.probe  # noqa: SLF001 - where it is to stand still

    def find_out() -> object:
        begun.set()
        assert go_on.wait(10)
        return real()

    monkeypatch.setattr(wary._put, "probe", find_out)  # noqa: SLF001 - see above
    with ThreadPoolExecutor(2) as threads:
        trying = threads.submit(wary.probe_capabilities)
        assert begun.wait(10)
        s3.objects["a.png"] = Stored(b"theirs", {"x-amz-meta-job-id": "2"})
        putting = threads.submit(put_image, wary, "a.png")
        assert wary._needs_probe  # noqa: SLF001 - so whoever comes now waits
        go_on.set()
        assert trying.result(10).condition is Condition.IGNORED
        assert putting.result(10) is False
    assert s3.objects["a.png"].body == b"theirs"


@pytest.mark.parametrize("key", ["folder/", "a//", "a/b/"])
def test_a_key_that_is_no_file_name_is_looked_at_all_the_same(
    wary: ObjectStore, s3: FakeS3, key: str
) -> None:
    """A server that checks all bytes may make a folder of it, and keep none."""
    s3.capabilities = Capabilities(states_checksum=False, empties_folders=True)

    with pytest.raises(StorageUnavailable, match="0 bytes"):
        put_image(wary, key)


def test_a_server_that_nobody_tried_is_looked_at(untried: ObjectStore, s3: FakeS3) -> None:
    """Where the answer proves nothing, one HEAD does."""
    s3.capabilities = Capabilities(states_checksum=False)

    assert requests_of(s3, lambda: put_image(untried, "a.png")) == ["PUT", "HEAD"]


def test_one_that_repeats_what_it_is_told_proves_nothing(wary: ObjectStore, s3: FakeS3) -> None:
    """A server that was seen to take a wrong checksum is looked at, though it states ours."""
    s3.capabilities = Capabilities(checks_nothing=True)
    assert "does not check" in wary.probe_capabilities().problems

    assert requests_of(s3, lambda: put_image(wary, "a.png")) == ["PUT", "HEAD"]
    s3.capabilities.keeps = 9
    with pytest.raises(StorageUnavailable, match="not those sent"):
        put_image(wary, "b.png")


@pytest.mark.parametrize("write", [str.lower, str.upper, str.title])
def test_metadata_is_known_by_any_spelling(
    wary: ObjectStore, s3: FakeS3, write: Callable[[str], str]
) -> None:
    """A proxy may write the names of headers in capitals."""
    s3.capabilities = Capabilities(writes_names=write)
    put_image(wary, "a.png")

    there = wary.head("a.png")

    assert there is not None
    assert there.metadata["job-id"] == "1"
    assert there.whole


@pytest.mark.parametrize("conflicts", [1, 2, 5])
def test_a_conflict_is_not_taken_for_a_stored_object(
    wary: ObjectStore, s3: FakeS3, conflicts: int
) -> None:
    """Nobody may have won: it is to be tried again until somebody has."""
    wary.probe_capabilities()
    s3.capabilities.conflicts = conflicts

    for _ in range(conflicts):
        with pytest.raises(StorageUnavailable, match="ConditionalRequestConflict"):
            put_image(wary, "a.png")
        assert "a.png" not in s3.objects

    assert put_image(wary, "a.png")


def test_after_a_conflict_it_is_seen_who_won(wary: ObjectStore, s3: FakeS3) -> None:
    """An object that is there by then has the key."""
    put_image(wary, "a.png", b"theirs", job="2")
    s3.capabilities.conflicts = 1

    assert not put_image(wary, "a.png")


def test_a_lost_answer_is_found_out(wary: ObjectStore, s3: FakeS3) -> None:
    """The object is there: the next try is told that its key is taken."""
    wary.probe_capabilities()
    s3.capabilities.loses_answers = 1
    with pytest.raises(StorageUnavailable):
        put_image(wary, "a.png")

    assert not put_image(wary, "a.png")
    there = wary.head("a.png")
    assert there is not None
    assert there.metadata["job-id"] == "1"


def test_a_server_that_cannot_be_tried_is_trusted_with_nothing(
    wary: ObjectStore, s3: FakeS3
) -> None:
    """Where probes are refused, keys are looked at as well, and it is said why."""
    s3.capabilities.refusal = Refusal(403, "AccessDenied", "Access Denied")
    assert "AccessDenied" in wary.probe_capabilities().problems
    s3.capabilities.refusal = None

    assert requests_of(s3, lambda: put_image(wary, "a.png")) == ["HEAD", "PUT", "HEAD"]
