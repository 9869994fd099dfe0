"""Reads which jobs a request is about, from its query or its body; errors are added to a list."""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from core.jobs.index_names import value_text
from core.jobs.status import Status
from core.operations.job_lists import MOST_METADATA, JobFilter
from core.provider.catalogue import MODELS
from core.settings.settings import Settings
from service.http.caller_values import kind_of, shown
from service.http.problems import FieldError

#: The latest time that can be named, in Unix seconds.
LATEST_TIME: Final = 253_402_300_799
ID_PATTERN: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ID: Final = re.compile(ID_PATTERN)
#: A number as JSON writes it. Python would also read blanks, underscores and digits of any script.
_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_STATUSES: Final = f"one of {', '.join(Status)}"
_TIMES: Final = "an ISO 8601 time with its zone, such as 2026-01-31T23:59:59Z, or Unix seconds"


class FilterReader:
    """Reads the values of filters.

    Args:
        settings: Name the models and the indexed keys of metadata.
        start: What the paths of the fields begin with: `query.`, or nothing.
        required: The fields that cannot be left out.
    """

    def __init__(self, settings: Settings, start: str = "", required: Collection[str] = ()) -> None:
        self._settings = settings
        self._required = required
        self._start = start
        self.errors: list[FieldError] = []

    def filter(self, tenant: str, given: Mapping[str, Any], metadata: Any) -> JobFilter:
        """Return the filter.

        Args:
            tenant: The caller.
            given: The values by their names; `status` is a list.
            metadata: The values by the keys of metadata.
        """
        after, before = self.period("created_after", "created_before", given)
        return JobFilter(
            tenant=tenant,
            statuses=self._statuses(given.get("status")),
            model=self._model(given.get("model")),
            created_after=after,
            created_before=before,
            batch=self.identifier("batch", given.get("batch")),
            metadata=self._metadata(metadata),
        )

    def refuse(self, name: str, detail: str, allowed: str, fix: str = "") -> None:
        """Add an error about a field."""
        fix = fix or f"send {allowed}" + ("" if name in self._required else ", or leave it out")
        self.errors.append(FieldError(f"{self._start}{name}", detail, allowed, fix))

    def _statuses(self, given: Any) -> frozenset[Status]:
        values = given if isinstance(given, list) else [] if given is None else [given]
        unknown = [one for one in values if one not in list(Status)]
        for one in unknown[:1]:
            self.refuse("status", f"is {shown(one)}", _STATUSES)
        if given == []:
            self.refuse("status", "is empty", "at least " + _STATUSES)
        return frozenset(Status) if unknown or not values else frozenset(map(Status, values))

    def _model(self, given: Any) -> str | None:
        known = {**MODELS, **self._settings.models}
        if given is None or (isinstance(given, str) and given in known):
            return given
        # One that is offered no more may still have jobs.
        allowed = f"one of {', '.join(self._settings.models)}"
        self.refuse("model", f"is {shown(given)}, which is not a known model", allowed)
        return None

    def period(
        self, start: str, end: str, given: Mapping[str, Any]
    ) -> tuple[int | None, int | None]:
        """Return two times as `time` does; one that ends before it starts is refused.

        Args:
            start: The name of its start, which belongs to it.
            end: The name of its end, which does not.
            given: The values by their names.
        """
        first, last = self._time(start, given.get(start)), self._time(end, given.get(end))
        if first is not None and last is not None and last < first:
            field = f"{self._start}{start}"
            self.refuse(end, f"is before {field}", f"a time that is not before {field}")
        return first, last

    def _time(self, name: str, given: Any) -> int | None:
        """Return Unix time in milliseconds, rounded up: a job's time is in whole milliseconds."""
        if given is None:
            return None
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        if isinstance(given, str) or is_number:
            try:
                return _milliseconds(str(given))
            except (ValueError, OverflowError):
                pass
        self.refuse(name, f"is {shown(given)}", _TIMES)
        return None

    def identifier(self, name: str, given: Any) -> str | None:
        """Return the id of a job or batch; None if it is absent, or refused."""
        if given is None or (isinstance(given, str) and _ID.fullmatch(given)):
            return given
        self.refuse(name, f"is {shown(given)}", f"the id of a {name}")
        return None

    def _metadata(self, given: Any) -> dict[str, str]:
        if given is None:
            return {}
        if not isinstance(given, dict):
            self.refuse("metadata", f"is {kind_of(given)}", "an object of keys and values")
            return {}
        if len(given) > MOST_METADATA:
            allowed = f"at most {MOST_METADATA} keys"
            self.refuse("metadata", f"has {len(given)} keys", allowed, "leave some out")
        texts: dict[str, str] = {}
        for key, value in given.items():
            text = value_text(value)
            if key not in self._settings.indexed_metadata:
                self._unindexed(key)
            elif text is None or not _is_unicode(text):
                allowed = "a text, a number or a boolean"
                self.refuse(f"metadata.{key}", f"is {shown(value)}", allowed)
            else:
                texts[key] = text
        return texts

    def _unindexed(self, key: str) -> None:
        indexed = ", ".join(self._settings.indexed_metadata)
        allowed = f"one of {indexed}" if indexed else "no key: none is indexed here"
        fix = "leave it out, or have the operator add the key to FLUXRELAY_INDEXED_METADATA"
        self.refuse(
            f"metadata.{_plain(key)}", "is a key by which jobs are not listed", allowed, fix
        )


def unknown(names: Iterable[str], known: Iterable[str], reader: FilterReader) -> None:
    """Refuse fields that are not known: a mistyped filter must not admit every job."""
    allowed = f"one of {', '.join(known)}"
    for name in names:
        reader.refuse(_plain(name), "is not known", allowed, "leave it out")


def _plain(name: str) -> str:
    """Return a caller's name of a field, truncated."""
    return shown(name).strip("'")


def _milliseconds(text: str) -> int:
    """Return Unix time in milliseconds, rounded up.

    Raises:
        ValueError: The text is neither a time with its zone nor a number of seconds.
        OverflowError: The time is out of bounds.
    """
    # In a query, a + that is not encoded is read as a blank.
    at = None if text[:1] in ("", "-") else _iso(text.replace(" ", "+"))
    if at is None:
        if not _SECONDS.fullmatch(text) or (seconds := Decimal(text)) > LATEST_TIME:
            raise ValueError(text)
        microseconds = int(seconds * 1_000_000)
    elif at.tzinfo is None:
        raise ValueError(text)
    else:
        microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    return max(-(-microseconds // 1000), 0)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
