"""Parses the body of `POST /v1/jobs` and collects all errors."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from core.jobs.input_places import with_values
from core.provider.catalogue import FILES, Model, Parameter
from core.security.address_rules import callback_url_problem
from core.settings.settings import Settings
from core.storage.object_keys import template_problem
from service.body.inline_files import InlineFile
from service.body.json_scanner import LONG, FileField
from service.http.caller_values import NOT_UNICODE, is_unicode, kind_of, shown
from service.http.problems import FieldError, invalid
from service.intake import job_options
from service.intake.file_checks import InputFile, check_file, decoded
from service.intake.file_parameters import files_in, is_url
from service.intake.lenient_values import with_whole_numbers
from service.intake.limits import LONGEST_KEY, LONGEST_URL
from service.intake.model_parameters import check_input, unknown_field

_FIELDS: Final = (
    *("model", "input", "callback", "output"),
    *("region", "priority", "regenerate", "max_resubmits", "metadata", "deadline"),
)
#: Callers use the same few callback URLs again and again.
_known_url_problem: Final = lru_cache(maxsize=1024)(callback_url_problem)
_JOB_ID_LENGTH: Final = 36  # characters of a UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A valid request for a job."""

    model: str
    #: Without the files; in an array, null stands for each.
    input: Mapping[str, Any]
    #: By their places in the input, such as `images.3`.
    files: Mapping[str, InputFile] = field(default_factory=dict)
    callback_url: str | None = None
    callback_events: Sequence[str] = ()
    #: See `JobRequest`: both are set by the drop-in API.
    origin: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    output_key: str | None = None
    region: str | None = None
    priority: int = 0
    regenerate: bool = False
    max_resubmits: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: Unix time; None: its model decides.
    deadline_at: float | None = None
    #: Seconds of the `Cancel-After` header, which stands in place of a field.
    cancel_after: int | None = None


def parse_job(
    body: Any,
    settings: Settings,
    inline: Mapping[str, InlineFile] | None = None,
    cancel_after: Collection[str] = (),
) -> NewJob:
    """Validate a body and return the requested job.

    Args:
        body: The parsed JSON.
        settings: The service's settings.
        inline: Files taken out of the body, by the references that replace them.
        cancel_after: The values of the `Cancel-After` header.

    Raises:
        Problem: 422, with everything that is wrong.
    """
    if not isinstance(body, dict):
        allowed = "an object with model and input"
        raise invalid([FieldError("body", f"is {kind_of(body)}", allowed, "send an object")])
    errors = [unknown_field(name, dict.fromkeys(_FIELDS)) for name in body if name not in _FIELDS]
    model = _model(body.get("model"), settings.models, errors)
    files: dict[str, InputFile] = {}
    given = body.get("input")
    if model:
        parameters = model.parameters_of(given)
        given = with_whole_numbers(parameters, given)
        errors += check_input(model, given)
        files = _files(parameters, given, inline or {}, errors)
    seconds = job_options.cancel_after(cancel_after, errors)
    job = NewJob(
        model=model.name if model else "",
        input=_plain_input(given, files),
        files=files,
        callback_url=callback_url(body.get("callback"), settings, errors, ("url", "events")),
        callback_events=job_options.callback_events(body.get("callback"), errors),
        output_key=_output(body.get("output"), settings, errors),
        region=_region(body.get("region"), model, settings, errors),
        priority=job_options.priority(body.get("priority"), errors),
        regenerate=job_options.regenerate(body.get("regenerate"), errors),
        max_resubmits=job_options.max_resubmits(body.get("max_resubmits"), errors),
        metadata=job_options.metadata(body.get("metadata"), errors),
        deadline_at=job_options.deadline(body.get("deadline"), seconds, errors),
        cancel_after=seconds,
    )
    if errors:
        raise invalid(errors)
    return job


def file_fields(models: Iterable[Model]) -> dict[str, FileField]:
    """Return the parameters of these models that hold files, by name; the widest of each name."""
    fields: dict[str, FileField] = {}
    for name, one in (pair for model in models for form in model.forms for pair in form.items()):
        if one.kind in FILES:
            known = fields.get(name, FileField(0))
            arrays = max(known.arrays, FILES[one.kind])
            fields[name] = FileField(max(known.largest, one.largest_file), arrays)
    return fields


def _model(name: Any, models: Mapping[str, Model], errors: list[FieldError]) -> Model | None:
    model = models.get(name) if isinstance(name, str) else None
    if model is None:
        detail = "is missing" if name is None else f"is {shown(name)}, which is not a known model"
        allowed = "one of " + ", ".join(models)
        errors.append(FieldError("model", detail, allowed, "send one of these names"))
    return model


def _plain_input(given: Any, files: Mapping[str, InputFile]) -> dict[str, Any]:
    """Return the parameters that were sent, without nulls and files."""
    pairs = given.items() if isinstance(given, dict) else ()
    plain = {name: value for name, value in pairs if value is not None and name not in files}
    return with_values(plain, {place: None for place in files if "." in place})


def _files(
    parameters: Mapping[str, Parameter],
    given: Any,
    inline: Mapping[str, InlineFile],
    errors: list[FieldError],
) -> dict[str, InputFile]:
    """Validate files in base64; values that are none have their error already."""
    files: dict[str, InputFile] = {}
    refused = {one.field for one in errors}
    for name, value in given.items() if isinstance(given, dict) else ():
        parameter, whole = parameters.get(name), f"input.{name}"
        if parameter is None:
            continue
        if parameter.kind not in FILES:
            if isinstance(value, str) and value in inline:  # other models have files there
                errors.append(FieldError(whole, "is far too long", f"{LONG} bytes", "shorten it"))
        elif whole not in refused:
            for place, path, text in files_in(name, parameter, value):
                if path in refused or not isinstance(text, str) or is_url(text):
                    continue
                long = inline.get(text) or decoded(text, parameter)
                found = check_file(path, parameter, long)
                if isinstance(found, FieldError):
                    errors.append(found)
                else:
                    files[place] = found
    return files


def _object(
    path: str, given: Any, known: tuple[str, ...], errors: list[FieldError], *, allowed: str
) -> dict[str, Any]:
    """Return an optional object with known fields only; empty where it is none."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        errors.append(FieldError(path, f"is {kind_of(given)}", allowed, f"send {allowed}"))
        return {}
    unknown = (name for name in given if name not in known)
    errors += [unknown_field(f"{path}.{name}", dict.fromkeys(known)) for name in unknown]
    return given


def callback_url(
    given: Any, settings: Settings, errors: list[FieldError], known: tuple[str, ...] = ("url",)
) -> str | None:
    """Return the URL of a `callback` object, which may have the `known` fields; None if absent."""
    if given is None:
        return None
    count = len(errors)
    allowed = "an object with url" + (", and optionally events" if "events" in known else "")
    url = _object("callback", given, known, errors, allowed=allowed).get("url")
    problem: str | None = "is missing" if url is None else f"is {kind_of(url)}"
    if isinstance(url, str):
        # One that is too long is not to lie in memory as well.
        judge = _known_url_problem if len(url) <= LONGEST_URL else callback_url_problem
        problem = judge(url, settings.callback_allow_nets)
    if problem is None and isinstance(url, str):
        return url
    if len(errors) == count:
        allowed = "an http(s) URL that leads to a public address"
        fix = "send a public URL, or have its network put into FLUXRELAY_CALLBACK_ALLOW_NETS"
        errors.append(FieldError("callback.url", str(problem), allowed, fix))
    return None


def _output(given: Any, settings: Settings, errors: list[FieldError]) -> str | None:
    allowed = "an object with key, bucket or both"
    output = _object("output", given, ("bucket", "key"), errors, allowed=allowed)
    bucket, key = output.get("bucket"), output.get("key")
    if bucket not in (None, settings.s3_bucket):
        allowed = f"the bucket {settings.s3_bucket}"
        fix = "leave output.bucket out"
        errors.append(FieldError("output.bucket", f"is {shown(bucket)}", allowed, fix))
    if key is None:
        return None
    problem = _key_problem(key, settings)
    if problem:
        allowed = f"a key of 1 to {LONGEST_KEY} bytes; {{job_id}}, {{date}}, {{ext}} are filled in"
        fix = "send such a key, or leave output.key out"
        errors.append(FieldError("output.key", problem, allowed, fix))
    return str(key)


def _key_problem(key: Any, settings: Settings) -> str | None:
    if not isinstance(key, str):
        return f"is {kind_of(key)}"
    if not is_unicode(key):
        return NOT_UNICODE
    if len(key.encode()) > LONGEST_KEY:
        return f"has {len(key.encode())} bytes"
    problem = template_problem(key)
    if problem is None and len(_filled(key, settings).encode()) > LONGEST_KEY:
        return "is too long once it is filled in"
    return problem


def _filled(key: str, settings: Settings) -> str:
    """Return the longest key that a template can produce."""
    return key.format(
        job_id="-" * _JOB_ID_LENGTH,
        date="2026-01-01",
        role="draft_cache",
        ext="webp",
        model=max(settings.models, key=len),
        tenant=max(settings.api_keys.values(), key=len),
    )


def _region(
    given: Any, model: Model | None, settings: Settings, errors: list[FieldError]
) -> str | None:
    """Return the region that a job is pinned to; some account must serve its model there."""
    region = given if isinstance(given, str) else None
    accounts = settings.accounts
    if given is not None and region not in {account.region for account in accounts} - {None}:
        allowed = "one of " + (", ".join(_regions(settings)) or "no regions: none is configured")
        fix = "leave region out, or send one of these"
        errors.append(FieldError("region", f"is {shown(given)}", allowed, fix))
    elif model and not any(account.serves(model.name, region) for account in accounts):
        where = f"in the region {region}" if region else "here"
        allowed = "a model that one of the provider's accounts serves"
        fix = "send another model or region"
        errors.append(FieldError("model", f"is served by no account {where}", allowed, fix))
    return region


def _regions(settings: Settings) -> list[str]:
    return sorted({account.region for account in settings.accounts if account.region})
