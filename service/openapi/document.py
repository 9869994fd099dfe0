"""Builds the OpenAPI 3.1 document of `/v1` from the catalogue and the limits of the checks."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from core.provider.accounts import Account
from core.provider.catalogue import FILES, Kind, Model, Parameter
from core.settings.settings import Settings
from service.intake.model_parameters import allowed_value
from service.openapi import batch_schemas, event_schemas
from service.openapi import schemas as parts
from service.openapi.examples.attach import attach_examples
from service.openapi.examples.bodies import model_bodies
from service.openapi.links import link
from service.openapi.operations import merged, tags
from service.openapi.paths import (
    batches,
    callbacks,
    cancellation,
    dead_letters,
    health,
    jobs,
    lists,
    reference,
    results,
    waiting,
)
from service.openapi.webhooks import webhooks

_VERSION: Final = "1"


def document(settings: Settings) -> dict[str, Any]:
    """Return the document.

    Args:
        settings: The offered models and limits.
    """
    schemas: dict[str, Any] = parts.schemas(settings.s3_bucket)
    for model in settings.models.values():
        schemas[_name("Input", model)] = input_schema(model)
        parameters = _reference(_name("Input", model))
        job = parts.new_job(model.name, parameters, _regions(model, settings.accounts))
        schemas[_name("NewJob", model)] = {**job, "examples": list(model_bodies(model))}
        schemas[_name("NewItem", model)] = batch_schemas.new_item(job)
    schemas |= batch_schemas.schemas(settings) | event_schemas.SCHEMAS
    schemas |= {name: _by_model(name, settings) for name in ("NewJob", "NewItem")}
    shown = link(attach_examples(_paths(settings), settings))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FluxRelay",
            "version": _VERSION,
            "description": "Jobs for images and videos in, results in your S3 bucket, "
            "a signed callback when done. The drop-in API, which speaks the provider's formats, "
            "is described by the provider's own document.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"key": []}],
        "tags": [{"name": tag} for tag in tags(shown)],
        "paths": shown,
        "webhooks": webhooks(),
        "components": {"schemas": schemas, "securitySchemes": parts.SECURITY},
    }


def _by_model(name: str, settings: Settings) -> dict[str, Any]:
    """Return the schema of a body that a model has a schema of its own for."""
    references = {model.name: _reference(_name(name, model)) for model in settings.models.values()}
    mapping = {model: one["$ref"] for model, one in references.items()}
    return {
        "oneOf": list(references.values()),
        "discriminator": {"propertyName": "model", "mapping": mapping},
    }


def _paths(settings: Settings) -> dict[str, Any]:
    """Return the endpoints, in the order in which the page shows them."""
    return merged(
        jobs.paths(settings.max_body_bytes),
        lists.paths(settings.models, settings.indexed_metadata),
        cancellation.paths(),
        results.paths(),
        batches.paths(settings),
        waiting.paths(),
        callbacks.paths(),
        dead_letters.paths(),
        reference.paths(),
        health.paths(),
    )


def _regions(model: Model, accounts: Sequence[Account]) -> list[str]:
    """Return the regions that a job of the model may be pinned to."""
    regions = {account.region for account in accounts if account.region}
    return sorted(
        region
        for region in regions
        if any(account.serves(model.name, region) for account in accounts)
    )


def input_schema(model: Model) -> dict[str, Any]:
    """Return the schema of a model's parameters; unknown ones are rejected."""
    about = {"title": f"Parameters of {model.name}", "description": _about(model)}
    if not model.variants:
        return {**about, **_object_schema(model.parameters)}
    forms = []
    for variant in model.variants:
        form = _object_schema(variant.parameters)
        form["properties"][model.variant_field] = {"enum": list(variant.names)}
        form["required"].append(model.variant_field)
        forms.append({"title": f"{model.variant_field}: {variant.names[0]}", **form})
    return {**about, "oneOf": forms}


def _object_schema(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name for name, one in parameters.items() if one.required],
        "properties": {name: parameter_schema(one) for name, one in parameters.items()},
        "additionalProperties": False,
    }


def _about(model: Model) -> str:
    """Describe what JSON Schema cannot express about a model's parameters."""
    if model.most_pixels is None:
        return f"Source: {model.source}."
    return f"Source: {model.source}. Width times height is at most {model.most_pixels}."


def parameter_schema(parameter: Parameter) -> dict[str, Any]:
    """Return the schema of one parameter; null means not sent, so a required one forbids it."""
    schema: dict[str, Any] = {"type": _TYPES[parameter.kind], **_bounds(parameter)}
    others = _alternatives(parameter, schema)
    if others and parameter.required:
        schema = {"anyOf": [schema, *others]}
    elif others:
        schema = {"anyOf": [schema, *others, {"type": "null"}]}
    elif not parameter.required:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"].append(None)
    description = allowed_value(parameter)
    if parameter.disagreement:
        description += f". {parameter.disagreement}"
    return {**schema, "description": description}


def _alternatives(parameter: Parameter, file: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas of what may stand in place of a number, or of one file."""
    if parameter.word:
        return [{"const": parameter.word}]
    if not FILES.get(parameter.kind):
        return []
    bounds = {"type": "array", "minItems": 1, "maxItems": parameter.most}
    if parameter.kind is Kind.IMAGES:
        return [{**bounds, "items": file}]
    seconds = {"type": "number", "minimum": parameter.minimum or 0}
    pair = {"type": "array", "prefixItems": [seconds, file], "minItems": 2, "maxItems": 2}
    return [{**bounds, "items": file}, {**bounds, "items": pair}]


_TYPES: Final[Mapping[Kind, str]] = {
    **dict.fromkeys(FILES, "string"),
    Kind.TEXT: "string",
    Kind.INTEGER: "integer",
    Kind.NUMBER: "number",
    Kind.BOOLEAN: "boolean",
    Kind.CHOICE: "string",
    Kind.ASPECT_RATIO: "string",
}


#: Formats of files other than images.
_FORMATS: Final[Mapping[Kind, str]] = {Kind.VIDEO: "video", Kind.BUNDLE: "bundle"}


def _bounds(parameter: Parameter) -> dict[str, Any]:
    match parameter.kind:
        case Kind.TEXT:
            named = {"minLength": parameter.minimum, "maxLength": parameter.longest}
        case Kind.INTEGER | Kind.NUMBER:
            named = {
                "minimum": parameter.minimum,
                "maximum": parameter.maximum,
                "multipleOf": parameter.multiple_of,
            }
        case Kind.CHOICE:
            return {"enum": list(parameter.choices)}
        case Kind.ASPECT_RATIO:
            # JSON Schema cannot express a ratio's range or an image; the description does.
            return {"format": "aspect-ratio"}
        case Kind.BOOLEAN:
            return {}
        case _:
            form = _FORMATS.get(parameter.kind, "image")
            return {"minLength": 1, "format": f"{form}-or-url" if parameter.urls else form}
    return {name: value for name, value in named.items() if value is not None}


def _name(kind: str, model: Model) -> str:
    return f"{kind}.{model.name.replace('/', '.')}"


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
