"""Draft bundles: the file from which the provider renders a draft again in full quality.

The provider's bundles are encrypted; these only name their draft, and are signed.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from sandbox.requests.fields import FieldValue
from sandbox.requests.file_fields import Bundle, InputFile
from sandbox.requests.flux_3 import AUTO, TEXT_TO_VIDEO
from sandbox.requests.inputs import decoded
from sandbox.requests.models import ENHANCE, TEXT_MODE
from sandbox.requests.validation import Request
from sandbox.statuses import Status
from sandbox.tasks.results import Access, Role, Signer
from sandbox.tasks.tasks import Task, TaskBook

#: First bytes of a bundle.
MAGIC: Final = b"FLUX-SANDBOX-DRAFT\n"
#: Bytes of a bundle: its head, filling, and a signature of all that.
BUNDLE_BYTES: Final = 16 * 1024
DIGEST_BYTES: Final = 32
BAD_DRAFT: Final = "Invalid or expired draft cache"


@dataclass(frozen=True)
class Drafts:
    """Makes bundles, and finds the draft of a bundle."""

    secret: bytes
    book: TaskBook
    signer: Signer

    def bundle(self, task: Task) -> bytes:
        """Return the bundle of a draft: the same bytes each time."""
        head = MAGIC + task.id.encode() + b"\n"
        filling = hashlib.shake_256(self.secret + head).digest(
            BUNDLE_BYTES - len(head) - DIGEST_BYTES
        )
        return head + filling + self._signature(head + filling)

    def completed(self, request: Request, now: float) -> Request:
        """Return a request to enhance a draft with what the draft was asked for.

        Other requests stay as they are. A bundle behind a foreign URL is not fetched: it counts as
        that of a draft without a prompt.
        """
        bundle = next((file for file in request.files if isinstance(file.field, Bundle)), None)
        if bundle is None:
            return request
        draft, is_foreign = self._draft(bundle, now)
        asked = _usual() if draft is None else _asked(draft)
        values: dict[str, FieldValue] = {**asked, **request.values, "mode": ENHANCE, "draft": False}
        problem = "" if draft is not None or is_foreign else BAD_DRAFT
        return replace(request, values=values, problem=problem)

    def _draft(self, bundle: InputFile, now: float) -> tuple[Task | None, bool]:
        """Return the draft of a bundle, and whether the bundle is behind a foreign URL."""
        if not bundle.is_url:
            data = decoded(bundle.text)
            return (None if data is None else self._opened(data)), False
        parts = urlsplit(bundle.text)
        folder, _, rest = parts.path.removeprefix("/").partition("/")
        token, _, name = rest.partition("/")
        if folder != "results" or name != f"{Role.DRAFT_CACHE}.bin":
            return None, True
        access = self.signer.check(parts.path, dict(parse_qsl(parts.query)), now)
        return (self.book.find_by_token(token) if access is Access.GRANTED else None), False

    def _opened(self, data: bytes) -> Task | None:
        """Return the draft of a bundle; None if it is not whole, or its draft is not known."""
        signed, signature = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
        if not data.startswith(MAGIC) or not hmac.compare_digest(
            signature, self._signature(signed)
        ):
            return None
        task_id, _, _ = signed.removeprefix(MAGIC).partition(b"\n")
        task = self.book.find(task_id.decode())
        return task if task is not None and task.status is Status.READY else None

    def _signature(self, signed: bytes) -> bytes:
        return hmac.digest(self.secret, signed, hashlib.sha256)


def _usual() -> dict[str, FieldValue]:
    """Return the values of a draft that is not known."""
    return {**{name: field.default for name, field in TEXT_TO_VIDEO.items()}, "prompt": ""}


def _asked(draft: Task) -> dict[str, FieldValue]:
    """Return the values of a draft, with those that its input files determined."""
    values: dict[str, FieldValue] = {**draft.request.values, "seed": draft.seed}
    if draft.clip is not None:
        values["duration"] = draft.clip.seconds
    if values["aspect_ratio"] == AUTO and values["mode"] != TEXT_MODE:
        width, height = draft.size
        values["aspect_ratio"] = f"{width}:{height}"
    return values
