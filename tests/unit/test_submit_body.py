"""A submit's body is the same JSON in pieces, of the length that was stated before."""

import base64
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from core.errors import StorageUnavailable, Transient
from core.jobs.input_places import with_values
from worker.clients.submit_body import Payload, Source

FIELDS = {"prompt": 'a "ä" \ud83d\\', "seed": 2**64, "nested": [1.5, None, {"a": True}]}


def source(data: bytes, chunk: int = 7, size: int | None = None) -> Source:
    """Return an image that comes in chunks; `size` is what it is said to have."""

    def chunks() -> Iterator[bytes]:
        return (data[at : at + chunk] for at in range(0, len(data), chunk))

    return Source(len(data) if size is None else size, chunks)


@pytest.mark.parametrize("fields", [{}, {"prompt": "p"}, FIELDS])
@pytest.mark.parametrize("count", [0, 1, 4])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 7, 8, 100, 1000])
@pytest.mark.parametrize("chunk", [1, 2, 3, 64, 999])
def test_the_body_and_its_length(
    fields: Mapping[str, Any], count: int, length: int, chunk: int
) -> None:
    """Whatever the sizes, the bytes are as many as stated and read as the same object."""
    data = [random.Random(n).randbytes(length + n) for n in range(count)]  # noqa: S311 - noise
    images = {f'image "{number}"': source(each, chunk) for number, each in enumerate(data)}
    payload = Payload(fields, images, seconds=60)

    body = b"".join(payload)

    assert len(body) == payload.length
    encoded = {
        name: base64.b64encode(each).decode() for name, each in zip(images, data, strict=True)
    }
    assert json.loads(body) == encoded | dict(fields)


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"images": [None]}, ["images.0"]),
        ({"images": ["https://h/", None, "x", None], "seed": 1}, ["images.1", "images.3"]),
        ({"images": [None] * 11}, [f"images.{number}" for number in range(11)]),
        ({"keyframes": [[0, None], [1.5, "https://h/"], [2, None]]}, ["keyframes.0.1"]),
        ({"keyframes": [[0, None]], "z": {"images": [None]}}, ["keyframes.0.1", "video", "mask"]),
        ({"a": None}, ["video"]),
    ],
)
def test_files_at_their_places(fields: dict[str, Any], places: list[str]) -> None:
    """A file within arrays is sent where it was, and what stands around it stays as it is."""
    data = {place: place.encode() * 9 for place in places}
    payload = Payload(fields, {place: source(each) for place, each in data.items()}, seconds=60)

    body = b"".join(payload)

    assert len(body) == payload.length
    encoded = {place: base64.b64encode(each).decode() for place, each in data.items()}
    assert json.loads(body) == with_values(fields, encoded)
    assert fields == with_values(fields, {place: None for place in places if "." in place})


@pytest.mark.parametrize("fields", [{}, FIELDS])
def test_no_beginning_of_it_is_json(fields: Mapping[str, Any]) -> None:
    """Before the last part is handed over, there is nothing that could be taken for the whole."""
    payload = Payload(fields, {"a": source(b"12345"), "b": source(b"1")}, seconds=60)
    sent = b""

    for part in payload:
        if payload.handed_over_at is None:
            sent += part
            assert len(sent) < payload.length
            with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
                json.loads(sent)

    assert payload.handed_over_at is not None


@pytest.mark.parametrize("said", [0, 9, 11, 10_000])
def test_an_image_of_another_size_is_not_sent(said: int) -> None:
    """A length that was stated wrongly is noticed before the body ends."""
    payload = Payload(FIELDS, {"a": source(b"0123456789", size=said)}, seconds=60)

    with pytest.raises(StorageUnavailable, match=f"10 bytes instead of {said}"):
        list(payload)
    assert payload.handed_over_at is None


def test_sending_may_take_so_long() -> None:
    """After its time the body ends in the middle."""
    payload = Payload(FIELDS, {"a": source(b"0123456789")}, seconds=-1)

    with pytest.raises(Transient, match="took longer"):
        list(payload)
    assert payload.handed_over_at is None
    small = Payload(FIELDS, {}, seconds=-1)
    assert b"".join(small) == json.dumps(FIELDS).encode()
