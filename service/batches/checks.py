"""Checks all items of a batch, once its whole body is here; CPU and temporary files alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import islice
from typing import Any, Final, NamedTuple

from core.batches.batch import BatchId
from core.jobs.job import JobId
from core.jobs.job_ids import new_job_id
from core.redis.transitions import Transitions
from core.storage.object_keys import INPUT_PREFIX
from core.whole_json import whole_json
from service.batches.complaints import LINE, Complaints, InvalidItems, errors_of
from service.batches.options import ITEM_FIELDS, Options, parse_options
from service.batches.spool import Spool
from service.batches.spooled_items import ReadBatch, SpooledItem, SpooledItems, too_many
from service.body.inline_files import InlineFile
from service.body.json_body import parse_json
from service.http.caller_values import is_unicode, kind_of, shown
from service.http.problems import FieldError, Problem, invalid, too_large
from service.intake.file_checks import InputFile
from service.intake.intake import Intake, canonical_json
from service.intake.job_request import NewJob, parse_job
from service.intake.model_parameters import unknown_field

LONGEST_CUSTOM_ID: Final = 64  # characters
#: Items checked by one call of a thread, so that those of other requests come in between.
_AT_ONCE: Final = 100
#: Most bytes kept of a batch without a place. Defaults may make much of a small body; so much, and
#: one more item, is held in memory (service/batches/spool.py).
_MOST_WITHOUT_PLACE: Final = 256 * 1024


class StoredFile(NamedTuple):
    """A file that is to be stored at a key before its job is staged."""

    key: str
    #: The file, or the key of the object that is to be copied.
    source: InputFile | str


class CheckedItem(NamedTuple):
    """A valid item: the place of its new job in the spool, and its files."""

    job_id: JobId
    at: int
    size: int
    files: tuple[StoredFile, ...]
    deadline_at: float


@dataclass(slots=True)
class CheckedItems:
    """What came of a batch's items."""

    batch_id: BatchId
    tenant: str
    options: Options
    #: The new jobs as JSON (`Transitions.new_job`).
    jobs: Spool
    items: list[CheckedItem] = field(default_factory=list)
    complaints: Complaints = field(default_factory=Complaints)
    fingerprint: str = ""

    def job(self, item: CheckedItem) -> str:
        """Return an item's new job as JSON."""
        return self.jobs.read(item.at, item.size).decode()

    @property
    def last_deadline(self) -> float:
        """Unix time at which the last of its jobs times out."""
        return max(item.deadline_at for item in self.items)


class ItemChecks:
    """Checks the items of one batch, some at a time.

    Args:
        read: The body.
        tenant: Whose batch it is.
        intake: Makes the requests of jobs.
        transitions: Makes new jobs of them.
        most_bytes: Most bytes of all the items' files.

    Raises:
        Problem: The options are invalid (422), or the JSON as a whole (400).
    """

    def __init__(
        self,
        read: ReadBatch,
        tenant: str,
        intake: Intake,
        transitions: Transitions,
        most_bytes: int,
    ) -> None:
        self._spooled: SpooledItems = read.items
        self._is_document = read.is_document
        self._place = read.place
        self._intake = intake
        self._transitions = transitions
        self._most_bytes = most_bytes
        self._file_bytes = 0
        self._known: dict[str, int] = {}
        self._digest = sha256()
        options, first = self._options(read)
        self._left: Iterator[SpooledItem] = islice(read.items, first, None)
        if len(read.items.items) - first > read.items.most:
            raise too_many(read.items.most)
        batch_id = BatchId(new_job_id())
        self.checked = CheckedItems(batch_id, tenant, options, read.items.texts)

    @property
    def needs_place(self) -> bool:
        """Whether the batch is to take a place among the large bodies before more is checked."""
        return not self._place.is_taken and self._spooled.size > _MOST_WITHOUT_PLACE

    def check_some(self) -> bool:
        """Check the next items; return whether there may be more.

        Raises:
            Problem: 400, the document is not valid JSON; 413, its files are too large together.
            OSError: There is no room for temporary files.
        """
        for _ in range(_AT_ONCE):
            if (item := next(self._left, None)) is None:
                return False
            self._check(item)
            if self.needs_place:
                break
        return True

    def finish(self) -> CheckedItems:
        """Return what came of the items, all of which are checked."""
        self.checked.fingerprint = self._digest.hexdigest()
        return self.checked

    def _options(self, read: ReadBatch) -> tuple[Options, int]:
        """Return the options, and how many of the lines they take."""
        body: Any = {}
        files: dict[str, InlineFile] = {}
        lines = 0
        if read.envelope:
            body = parse_json(read.envelope.skeleton, read.envelope.gaps)
            files = dict(read.envelope.files)
        elif read.items.items and (found := self._first_line(read.items.items[0])) is not None:
            body, files, lines = found, dict(read.items.items[0].files), 1
        settings, is_document = self._intake.settings, read.is_document
        options = parse_options(body, settings, files, is_document=is_document)
        self._add_to_fingerprint({**body, "items": None}, files)
        return options, lines

    def _first_line(self, item: SpooledItem) -> dict[str, Any] | None:
        """Return the first line of NDJSON if it holds options instead of an item."""
        try:
            body = parse_json(self._spooled.skeleton(item), item.gaps)
        except Problem:
            return None
        is_item = not isinstance(body, dict) or "custom_id" in body or "model" in body
        return None if is_item or "input" in body else body

    def _check(self, item: SpooledItem) -> None:
        name, line = (f"Item {item.line}", None) if self._is_document else (LINE, item.line)
        try:
            body = parse_json(self._spooled.skeleton(item), item.gaps, name=name, line=line)
        except Problem as problem:
            if self._is_document:
                raise
            self._digest.update(self._spooled.skeleton(item) if not item.files else b"broken")
            self.checked.complaints.add(item.line, None, errors_of(problem))
            return
        self._add_to_fingerprint(body, item.files)
        if not isinstance(body, dict):
            error = FieldError("item", f"is {kind_of(body)}", "an object", "send an object")
            self.checked.complaints.add(item.line, None, [error])
            return
        errors: list[FieldError] = []
        custom_id = self._custom_id(body.get("custom_id"), item.line, errors)
        known = dict.fromkeys((*ITEM_FIELDS, "custom_id"))
        errors += [unknown_field(name, known) for name in body if name not in known]
        job = self._job(body, item.files, errors)
        if errors or job is None or custom_id is None:
            self.checked.complaints.add(item.line, custom_id, errors)
        else:
            self._accept(custom_id, job)

    def _job(
        self, body: Mapping[str, Any], files: Mapping[str, InlineFile], errors: list[FieldError]
    ) -> NewJob | None:
        """Return the item's job with the defaults filled in; None if it has errors."""
        defaults = self.checked.options.defaults
        given = {name: body[name] for name in ITEM_FIELDS if body.get(name) is not None}
        whole = {**defaults, **given}
        if isinstance(default := defaults.get("input"), dict):
            own = given.get("input", {})
            whole["input"] = {**default, **own} if isinstance(own, dict) else own
        try:
            inline = {**self.checked.options.files, **files}
            return parse_job(whole, self._intake.settings, inline)
        except Problem as problem:
            errors += problem.errors
            return None

    def _accept(self, custom_id: str, job: NewJob) -> None:
        job_id = new_job_id()
        files = tuple(
            StoredFile(f"{INPUT_PREFIX}{job_id}/{place}", self._spooled_file(one))
            for place, one in job.files.items()
        )
        keys = dict(zip(job.files, (one.key for one in files), strict=True))
        checked = self.checked
        request = replace(
            self._intake.request(job_id, checked.tenant, job, keys),
            batch=checked.batch_id,
            custom_id=custom_id,
            behind=checked.options.behind,
        )
        text = whole_json(self._transitions.new_job(job_id, request)).encode()
        at, size = checked.jobs.append(text)
        checked.items.append(CheckedItem(job_id, at, size, files, request.deadline_at))

    def _spooled_file(self, one: InputFile) -> InputFile:
        """Return a file that is on disk; a short one was decoded in memory."""
        size = one.file.seek(0, 2)
        one.file.seek(0)
        self._file_bytes += size
        if self._file_bytes > self._most_bytes:
            raise too_large(self._most_bytes, "counts its files once per item, and")
        spooled = self._spooled.contents.open()
        while piece := one.file.read(1024 * 1024):
            spooled.write(piece)
        spooled.seek(0)
        return replace(one, file=spooled)

    def _custom_id(self, given: Any, line: int, errors: list[FieldError]) -> str | None:
        """Return the item's name; None if it cannot be one."""
        allowed = f"1 to {LONGEST_CUSTOM_ID} printable characters, each name once"
        if given is None:
            problem = "is missing"
        elif not isinstance(given, str):
            problem = f"is {kind_of(given)}"
        elif not (0 < len(given) <= LONGEST_CUSTOM_ID and given.isprintable()):
            problem = f"is {shown(given)}"
        elif not is_unicode(given):
            problem = "is not valid Unicode"
        elif (first := self._known.setdefault(given, line)) != line:
            problem = f"is that of line {first} already"
        else:
            return given
        fix = "give each item a name of its own"
        errors.append(FieldError("custom_id", problem, allowed, fix))
        return given if isinstance(given, str) and given in self._known else None

    def _add_to_fingerprint(self, body: Any, files: Mapping[str, InlineFile]) -> None:
        text = canonical_json(_with_digests(body, files) if files else body)
        self._digest.update(text.encode(errors="surrogatepass") + b"\n")


def require_items(checked: CheckedItems) -> None:
    """Refuse a batch with bad items, unless it skips them, and one without good ones.

    Raises:
        Problem: Nothing is accepted.
    """
    complaints = checked.complaints
    one = complaints.total == 1
    count = f"{complaints.total} {'field of its items is' if one else 'fields of its items are'}"
    if complaints.total and not (checked.options.skips and checked.items):
        raise InvalidItems(complaints, f"Nothing was accepted: {count} invalid; see errors")
    if not checked.items:
        raise invalid([FieldError("items", "is empty", "1 item or more", "send an item")])


def _with_digests(value: Any, files: Mapping[str, InlineFile]) -> Any:
    """Return a value with each reference to a file replaced by its digest."""
    if isinstance(value, dict):
        return {name: _with_digests(one, files) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_digests(one, files) for one in value]
    found = files.get(value) if isinstance(value, str) else None
    return {"sha256": found.sha256.hex()} if found else value
