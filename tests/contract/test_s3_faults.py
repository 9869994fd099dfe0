"""Each way in which S3 fails: one request, one error that says which, and a way on."""

import io
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest

from core.errors import StorageUnavailable
from core.storage.object_store import ObjectStore
from core.storage.s3_errors import RequestRefused
from stack.servers.seaweed import SeaweedFS
from tests.outage.s3_proxy import Fault, Manner, S3Proxy

BODY = bytes(range(256)) * 2000
#: What S3 says when it is overloaded, full, was sent wrong bytes, or must not be used.
ANSWERS = [
    (503, "SlowDown"),
    (500, "InternalError"),
    (507, "InsufficientStorage"),
    (400, "BadDigest"),
    (400, "XAmzContentChecksumMismatch"),
    (400, "RequestTimeout"),
    (403, "AccessDenied"),
    (403, "InvalidAccessKeyId"),
    (403, "RequestTimeTooSkewed"),
    (404, "NoSuchBucket"),
    (400, "KMS.DisabledException"),
]
Act = Callable[[ObjectStore], object]


def _put(objects: ObjectStore, key: str = "k.png") -> bool:
    digest = sha256(BODY).digest()
    return objects.put_once(
        key, io.BytesIO(BODY), sha256=digest, content_type="image/png", metadata={"job-id": "1"}
    )


def _put_input(objects: ObjectStore) -> None:
    objects.put("k", io.BytesIO(BODY), sha256=sha256(BODY).digest(), content_type="image/png")


@pytest.fixture
def proxy(seaweed: SeaweedFS) -> Iterator[S3Proxy]:
    """Run a proxy in front of the S3 server."""
    with S3Proxy() as running:
        running.upstream = seaweed.endpoint
        yield running


@pytest.fixture
def objects(
    environment: dict[str, str], proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ObjectStore]:
    """Return an object store behind the proxy, that waits for half a second."""
    assert environment
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    store = ObjectStore("pictures", timeout=0.5)
    yield store
    store.delete_below("k")
    store._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.mark.parametrize(("status", "code"), ANSWERS)
@pytest.mark.parametrize("act", [_put, _put_input])
def test_an_error_of_s3_is_named(
    objects: ObjectStore, proxy: S3Proxy, status: int, code: str, act: Act
) -> None:
    """It is asked once, for our steps have a clock of their own; and it may go well later."""
    proxy.order(Fault(status=status, code=code, times=1))

    with pytest.raises(StorageUnavailable, match=code) as caught:
        act(objects)

    assert not isinstance(caught.value, RequestRefused)
    assert len(proxy.requests) == 1
    act(objects)


@pytest.mark.parametrize("manner", [Manner.HANG, Manner.RESET, Manner.SWALLOW])
@pytest.mark.parametrize("act", [_put, _put_input])
def test_no_answer_is_named(objects: ObjectStore, proxy: S3Proxy, manner: Manner, act: Act) -> None:
    """Silence is given up, and asked once as well."""
    proxy.order(Fault(manner, times=1))

    with pytest.raises(StorageUnavailable, match="S3 could not store"):
        act(objects)

    assert len(proxy.requests) == 1


def test_a_put_whose_answer_was_lost_is_found(objects: ObjectStore, proxy: S3Proxy) -> None:
    """The second one is told that the key is taken, and by whom."""
    proxy.order(Fault(Manner.SWALLOW, times=1))
    with pytest.raises(StorageUnavailable):
        _put(objects)

    assert not _put(objects)

    there = objects.head("k.png")
    assert there is not None
    assert (there.metadata["job-id"], there.sha256) == ("1", sha256(BODY).hexdigest())


def test_a_key_that_s3_cannot_hold_is_told_apart(objects: ObjectStore) -> None:
    """This server refuses it whenever it comes, so it is no outage."""
    with pytest.raises(RequestRefused, match="KeyTooLongError"):
        _put(objects, "k/" + "z" * 880)


def test_a_conflict_that_says_nothing_is_no_crash(objects: ObjectStore, proxy: S3Proxy) -> None:
    """A 409 to a put that sets no condition is an error like any other."""
    proxy.order(Fault(status=409, code="409", times=1))

    with pytest.raises(StorageUnavailable):
        _put_input(objects)


def test_an_answer_that_breaks_off_is_unavailable(objects: ObjectStore, proxy: S3Proxy) -> None:
    """An input that cannot be read to its end is not taken for a whole one."""
    _put_input(objects)
    proxy.order(Fault(Manner.RESET, methods=("GET",), times=1))

    with pytest.raises(StorageUnavailable):
        list(objects.chunks("k"))
    assert b"".join(objects.chunks("k")) == BODY
