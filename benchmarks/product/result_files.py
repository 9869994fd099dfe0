"""Files that the fake services serve as results, with their checksums."""

import base64
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import file_digest, md5
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.report import image_makers, video_makers


class ResultFile(NamedTuple):
    """A result file, and what its host states of it."""

    path: Path
    size: int  # bytes
    content_type: str
    content_md5: str  # as in RFC 1864
    sha256: str


def _write_image(path: Path, size: int) -> None:
    path.write_bytes(image_makers.noise(size))


#: Ending of a file's name -> its content type, and what writes a file of a size.
_KINDS: Final[Mapping[str, tuple[str, Callable[[Path, int], None]]]] = {
    "png": ("image/png", _write_image),
    "mp4": ("video/mp4", video_makers.write),
}


def make(folder: Path, size: int, ending: str) -> ResultFile:
    """Write a file of about so many bytes, a PNG or an mp4, into the folder."""
    content_type, write = _KINDS[ending]
    path = folder / f"{size}.{ending}"
    write(path, size)
    with path.open("rb") as file:
        check = file_digest(file, partial(md5, usedforsecurity=False)).digest()
        file.seek(0)
        digest = file_digest(file, "sha256").hexdigest()
    stated = base64.b64encode(check).decode()
    return ResultFile(path, path.stat().st_size, content_type, stated, digest)
