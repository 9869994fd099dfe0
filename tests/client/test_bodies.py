"""Bodies of requests: JSON that holds files, lines of JSON, and files as they are."""

import base64
import io
import json
from pathlib import Path
from typing import IO, Any, cast

import pytest

from fluxrelay.operations.batches import BatchOperations
from fluxrelay.protocol.body import Body, File, FilePart, file_body, json_body, ndjson_body
from fluxrelay.protocol.effects import Send
from tests.client.scripted_flow import session

#: Longer than what is read at once, and no multiple of three.
CONTENT = bytes(range(256)) * 1000 + b"\x01"
TEXT = base64.b64encode(CONTENT).decode()


class Trickle(io.RawIOBase):
    """A file that cannot seek, and gives few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._file = io.BytesIO(content)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read a little."""
        piece = self._file.read(min(1000, len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)


def sent(body: Body) -> bytes:
    """Return what is sent, twice the same, of the length that is told."""
    content = b"".join(body.pieces())
    assert content == b"".join(body.pieces())
    assert len(content) == body.length
    assert body.in_memory in {None, content}
    return content


def test_files_stand_as_base64(tmp_path: Path) -> None:
    """Wherever a file stands in the value, its base64 text is sent in its place."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as opened:
        opened.seek(7)
        value = {
            "path": path,
            "deep": [[1.5, bytearray(CONTENT)], {"opened": opened}],
            "view": memoryview(CONTENT),
            "pipe": cast("IO[bytes]", Trickle(CONTENT)),
            "text": 'é"\ud800',
            "none": None,
            "empty": b"",
        }

        body = json_body(value)

        assert json.loads(sent(body)) == {
            "path": TEXT,
            "deep": [[1.5, TEXT], {"opened": base64.b64encode(CONTENT[7:]).decode()}],
            "view": TEXT,
            "pipe": TEXT,
            "text": 'é"\ud800',
            "none": None,
            "empty": "",
        }


def test_a_body_without_files_is_in_memory() -> None:
    """It is sent as one piece."""
    assert json_body({"a": [1, "b"]}).in_memory == b'{"a":[1,"b"]}'


def test_a_file_is_not_read_before_it_is_sent(tmp_path: Path) -> None:
    """Nothing of a path is in memory: its pieces come from the file, at most 256 KiB each."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT * 10)

    body = json_body(path)

    assert [type(part) for part in body.parts] == [bytes, FilePart, bytes]
    assert max(len(piece) for piece in body.pieces()) == 256 * 1024
    path.write_bytes(CONTENT)
    with pytest.raises(OSError, match="became shorter"):
        sent(body)


@pytest.mark.parametrize("value", [object(), {1, 2}, io.StringIO("text"), {"a": 1j}])
def test_what_json_cannot_hold(value: object) -> None:
    """It is refused before anything is sent, and so is a file of text."""
    with pytest.raises(TypeError):
        json_body({"input": value})


def test_a_number_that_json_cannot_hold() -> None:
    """No NaN is sent, which is no JSON."""
    with pytest.raises(ValueError, match="JSON"):
        json_body(float("nan"))


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    """It is told before anything is sent."""
    with pytest.raises(FileNotFoundError):
        json_body(tmp_path / "nothing")


def test_lines_of_json(tmp_path: Path) -> None:
    """Each value is one line, files included."""
    path = tmp_path / "file"
    path.write_bytes(b"x")

    body = ndjson_body([{"a": "b\nc"}, {"file": path}, {}])

    assert body.content_type == "application/x-ndjson"
    assert sent(body) == b'{"a":"b\\nc"}\n{"file":"eA=="}\n{}\n'


@pytest.mark.parametrize("kind", ["path", "bytes", "file"])
def test_a_file_as_it_is(tmp_path: Path, kind: str) -> None:
    """A file is sent as it is, after what stands before it."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    sources: dict[str, File] = {"path": path, "bytes": CONTENT, "file": io.BytesIO(CONTENT)}

    assert sent(file_body("text/plain", sources[kind], b"before")) == b"before" + CONTENT


def test_items_of_a_batch() -> None:
    """Items and a file of items are sent as lines; options are the first of them."""
    operations = BatchOperations(session())
    item = {"custom_id": "a", "input": {"image": b"x"}}

    bodies = []
    for items in ([item], iter([item]), b'{"custom_id": "a"}\n'):
        effect = next(operations.create(items, on_error="skip"))
        assert isinstance(effect, Send)
        assert effect.request.body is not None
        assert effect.request.headers["idempotency-key"]
        bodies.append(sent(effect.request.body).splitlines())

    assert bodies[0] == bodies[1]
    assert [json.loads(line) for line in bodies[0]] == [
        {"on_error": "skip"},
        {"custom_id": "a", "input": {"image": "eA=="}},
    ]
    assert [json.loads(line) for line in bodies[2]] == [{"on_error": "skip"}, {"custom_id": "a"}]
