"""Bodies with images for the scanner, and what it makes of them."""

import base64
import io
import random
from collections.abc import Iterable
from typing import Any

from service.body.json_body import parse_json
from service.body.json_scanner import BodyScanner, ImageFields, ScannedBody

NAMES = frozenset({"image", "mask"})
LARGEST = 1024 * 1024
LARGEST_IMAGE = 90_000  # bytes
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
        ImageFields(NAMES, parents),
        largest_skeleton=LARGEST,
        largest_image=LARGEST_IMAGE,
        open_file=OpenFiles(),
    )
    for piece in pieces:
        scanner.feed(piece)
    return scanner.end()


def whole(body: ScannedBody) -> Any:
    """Return the body with each image's bytes in the place of its text."""
    return _with_images(parse_json(body.skeleton, body.gaps), body)


def _with_images(value: Any, body: ScannedBody) -> Any:
    if isinstance(value, dict):
        return {name: _with_images(child, body) for name, child in value.items()}
    image = body.images.get(value) if isinstance(value, str) else None
    if image is None:
        return value
    image.file.seek(0)
    return image.file.read() if image.is_base64 else "no base64"


def at_every(raw: bytes, places: Iterable[int]) -> Iterable[list[bytes]]:
    """Cut a text in two at each of these places."""
    return ([raw[:place], raw[place:]] for place in places)


def request(**fields: Any) -> dict[str, Any]:
    """Return a body with these fields as its input."""
    return {"model": "m", "input": {"prompt": 'a "quoted" \\ ä 😀', **fields}, "metadata": {}}
