"""Checks the options of a batch: everything beside its items."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.batches.batch import DEFAULT_RESULTS_KEY, results_key
from core.settings.settings import Settings
from core.storage.object_keys import key_problem
from service.body.inline_files import InlineFile
from service.http.caller_values import kind_of, shown
from service.http.problems import FieldError, invalid
from service.intake import job_options
from service.intake.job_request import callback_url
from service.intake.limits import LONGEST_KEY
from service.intake.model_parameters import unknown_field

#: How bad items are met.
ON_ERROR: Final = ("reject", "skip")
#: What every item, and `defaults`, may hold.
ITEM_FIELDS: Final = (
    *("model", "input", "output", "metadata", "priority", "region", "callback", "deadline"),
    *("regenerate", "max_resubmits"),
)
_FIELDS: Final = (
    *("items", "defaults", "on_error", "callback", "behind_single_jobs", "metadata"),
    *("deadline", "results_key"),
)
_EXAMPLE_ID: Final = "01a1feec-22ac-7440-8460-9f933b1ed1e6"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The valid options of a batch."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    #: Files of the defaults, by the references that stand in their place.
    files: Mapping[str, InlineFile] = field(default_factory=dict)
    skips: bool = False
    callback_url: str | None = None
    behind: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)
    results_key: str = DEFAULT_RESULTS_KEY


def parse_options(
    body: Any, settings: Settings, files: Mapping[str, InlineFile], *, is_document: bool
) -> Options:
    """Validate the options.

    Args:
        body: The parsed JSON: the document without its items, or the first line of NDJSON.
        settings: The service's settings.
        files: Files taken out of it, by reference.
        is_document: Whether `items` must be in it.

    Raises:
        Problem: 422, with everything that is wrong.
    """
    if not isinstance(body, dict):
        allowed = "an object with items"
        raise invalid([FieldError("body", f"is {kind_of(body)}", allowed, "send an object")])
    known = _FIELDS if is_document else _FIELDS[1:]
    errors = [unknown_field(name, dict.fromkeys(known)) for name in body if name not in _FIELDS]
    errors += _items(body, is_document=is_document)
    options = Options(
        defaults=_defaults(body, errors),
        files=files,
        skips=_on_error(body.get("on_error"), errors) == "skip",
        callback_url=callback_url(body.get("callback"), settings, errors),
        behind=_behind(body.get("behind_single_jobs"), errors),
        metadata=job_options.metadata(body.get("metadata"), errors),
        results_key=_results_key(body.get("results_key"), errors),
    )
    if errors:
        raise invalid(errors)
    return options


def _items(body: Mapping[str, Any], *, is_document: bool) -> list[FieldError]:
    """Return what is wrong with `items`, which the document has, and lines have not."""
    if not is_document and "items" in body:
        fix = "send it with Content-Type: application/json, or each item on a line of its own"
        return [FieldError("items", "is given in NDJSON", "one item per line", fix)]
    if is_document and not isinstance(body.get("items"), list):
        found = f"is {kind_of(body['items'])}" if "items" in body else "is missing"
        fix = "send an array, or one item per line with Content-Type: application/x-ndjson"
        return [FieldError("items", found, "an array of items", fix)]
    return []


def _defaults(body: Mapping[str, Any], errors: list[FieldError]) -> dict[str, Any]:
    """Return the defaults of all items; the batch's own deadline is one of them."""
    given = body.get("defaults")
    if given is not None and not isinstance(given, dict):
        fix = "send an object, or leave it out"
        errors.append(FieldError("defaults", f"is {kind_of(given)}", "an object", fix))
        return {}
    defaults = dict(given or {})
    known = dict.fromkeys(ITEM_FIELDS)
    errors += [unknown_field(f"defaults.{name}", known) for name in defaults if name not in known]
    inner = defaults.get("input")
    if inner is not None and not isinstance(inner, dict):
        fix = "send an object, or leave it out"
        errors.append(FieldError("defaults.input", f"is {kind_of(inner)}", "an object", fix))
    if (deadline := body.get("deadline")) is not None:
        defaults.setdefault("deadline", deadline)
    return defaults


def _on_error(given: Any, errors: list[FieldError]) -> str:
    if given in ON_ERROR or given is None:
        return given or ON_ERROR[0]
    allowed = "one of " + ", ".join(ON_ERROR)
    fix = "send skip to accept the good items of a batch with bad ones, or leave it out"
    errors.append(FieldError("on_error", f"is {shown(given)}", allowed, fix))
    return ON_ERROR[0]


def _behind(given: Any, errors: list[FieldError]) -> bool:
    if given is not None and not isinstance(given, bool):
        fix = "send false to mix the batch's jobs with single jobs, or leave it out"
        error = FieldError("behind_single_jobs", f"is {shown(given)}", "true or false", fix)
        errors.append(error)
    return given is not False


def _results_key(given: Any, errors: list[FieldError]) -> str:
    if given is None:
        return DEFAULT_RESULTS_KEY
    problem: str | None = f"is {kind_of(given)}"
    if isinstance(given, str):
        filled = results_key(given, _EXAMPLE_ID, "tenant", 0.0)
        too_long = len(given.encode(errors="replace")) > LONGEST_KEY
        problem = "is too long" if too_long else key_problem(filled)
        if problem is None and ("{" in filled or "}" in filled):
            problem = "contains other braces"
        if problem is None:
            return given
    allowed = f"a key of 1 to {LONGEST_KEY} bytes; {{batch_id}}, {{date}}, {{tenant}} are filled in"
    fix = "send such a key, or leave results_key out"
    errors.append(FieldError("results_key", str(problem), allowed, fix))
    return DEFAULT_RESULTS_KEY
