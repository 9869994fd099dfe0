"""Parses the provider's flat body into a job, with the native API's checks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from core.provider.catalogue import Model
from core.settings.settings import Settings
from service.body.inline_files import InlineFile
from service.http.caller_values import NOT_UNICODE, is_unicode, kind_of
from service.http.problems import FieldError, Problem, invalid
from service.intake.job_request import NewJob, parse_job
from service.intake.lenient_values import converted

#: The provider's fields that are not model parameters (BFL OpenAPI).
_WEBHOOK_URL: Final = "webhook_url"
_WEBHOOK_SECRET: Final = "webhook_secret"  # noqa: S105 - the field's name
_LONGEST_SECRET: Final = 1024  # characters; it is sent as a header


def parse_flat(
    body: Any,
    settings: Settings,
    inline: Mapping[str, InlineFile],
    *,
    model: Model,
    origin: str,
) -> NewJob:
    """Validate a body and return the requested job.

    Fields unknown to a model are dropped where the provider does so; numbers and booleans are
    parsed as leniently as it parses them.

    Args:
        body: Parameters and webhook fields side by side.
        settings: The service's settings.
        inline: Files taken out of the body, by the references that replace them.
        model: The model in the path.
        origin: The origin of the request.

    Raises:
        Problem: 422, with everything that is wrong.
    """
    if not isinstance(body, dict):
        allowed = "an object with the model's parameters"
        raise invalid([FieldError("body", f"is {kind_of(body)}", allowed, "send an object")])
    parameters = model.parameters_of(body)
    known = read = converted(parameters, body)
    if model.webhook:  # the endpoints without a webhook reject unknown fields
        taken = {*parameters, model.variant_field}
        known = {name: value for name, value in read.items() if name in taken}
    native: dict[str, Any] = {"model": model.name, "input": known}
    if model.webhook and body.get(_WEBHOOK_URL) is not None:
        native["callback"] = {"url": body[_WEBHOOK_URL]}
    errors = _secret_errors(body)
    try:
        job = parse_job(native, settings, inline)
    except Problem as problem:
        raise invalid([*problem.errors, *errors]) from None
    if errors:
        raise invalid(errors)
    return replace(job, origin=origin, client_secret=body.get(_WEBHOOK_SECRET) or None)


def _secret_errors(body: Mapping[str, Any]) -> list[FieldError]:
    secret = body.get(_WEBHOOK_SECRET)
    if secret is None:
        return []
    fine = isinstance(secret, str) and secret.isascii() and len(secret) <= _LONGEST_SECRET
    if fine and secret.isprintable() and secret == secret.strip():
        return []
    allowed = f"a text of up to {_LONGEST_SECRET} printable ASCII characters, no blank at its ends"
    problem = "cannot be sent in a header"
    if isinstance(secret, str) and not is_unicode(secret):
        problem = NOT_UNICODE
    return [FieldError(_WEBHOOK_SECRET, problem, allowed, "send such a text")]
