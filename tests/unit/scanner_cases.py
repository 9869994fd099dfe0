"""Bodies with files for the scanner, and what it makes of them."""

import base64
import io
import random
from collections.abc import Iterable
from typing import Any

from service.body.json_body import parse_json
from service.body.json_scanner import BodyScanner, FileField, FileFields, ScannedBody

LARGEST = 1024 * 1024
LARGEST_IMAGE = 90_000  # bytes
LARGEST_VIDEO = 200_000  # bytes
#: Fields that hold a file, a list of them, or a list of pairs.
FIELDS = {
    **dict.fromkeys(("image", "mask"), FileField(LARGEST_IMAGE)),
    "images": FileField(LARGEST_IMAGE, arrays=1),
    "frames": FileField(LARGEST_IMAGE, arrays=2),
    "video": FileField(LARGEST_VIDEO),
}
#: A little longer than what stays in the skeleton.
DATA = random.Random(7).randbytes(50_000)  # noqa: S311 - noise, not a secret
TEXT = base64.b64encode(DATA).decode()


class OpenFiles(list[io.BytesIO]):
    """Opens files in memory, and remembers them."""

    def __call__(self) -> io.BytesIO:
        """Open one."""
        self.append(io.BytesIO())
        return self[-1]


def scan(pieces: Iterable[bytes], parents: tuple[str, ...] = ("input",)) -> ScannedBody:
    """Scan a body that comes in these pieces."""
    scanner = BodyScanner(
        FileFields(FIELDS, parents), largest_skeleton=LARGEST, open_file=OpenFiles()
    )
    for piece in pieces:
        scanner.feed(piece)
    return scanner.end()


def whole(body: ScannedBody) -> Any:
    """Return the body with each file's bytes in the place of its text."""
    return _with_files(parse_json(body.skeleton, body.gaps), body)


def _with_files(value: Any, body: ScannedBody) -> Any:
    if isinstance(value, dict):
        return {name: _with_files(child, body) for name, child in value.items()}
    if isinstance(value, list):
        return [_with_files(child, body) for child in value]
    inline = body.files.get(value) if isinstance(value, str) else None
    if inline is None:
        return value
    inline.file.seek(0)
    return inline.file.read() if inline.is_base64 else "no base64"


def at_every(raw: bytes, places: Iterable[int]) -> Iterable[list[bytes]]:
    """Cut a text in two at each of these places."""
    return ([raw[:place], raw[place:]] for place in places)


def request(**fields: Any) -> dict[str, Any]:
    """Return a body with these fields as its input."""
    return {"model": "m", "input": {"prompt": 'a "quoted" \\ ä 😀', **fields}, "metadata": {}}
