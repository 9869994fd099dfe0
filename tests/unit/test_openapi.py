"""The OpenAPI document says what the checks do."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.routing import Route

from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import Status
from core.jobs.views import job_view
from core.provider.catalogue import FILES, MODELS, Kind
from core.settings.settings import Settings
from service.app import create_app
from service.openapi.document import document
from tests.boundary_values import field_errors_for, probes
from tests.model_inputs import FORMS, full, minimal, parameters_of, picture

#: Modules whose routes are FluxRelay's own API.
NATIVE: Final = {
    "service.api.jobs",
    "service.api.cancel_many",
    "service.api.job_lists",
    "service.api.cancellation",
    "service.api.batches.endpoints",
    "service.api.watching.endpoints",
    "service.api.dead_letters",
    "service.api.health",
    "service.api.metrics",
    "service.api.reference",
    "service.api.results",
    "service.api.callbacks.endpoints",
    "service.api.callbacks.test_event",
}
TYPES: Final[Mapping[str, Any]] = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


@pytest.fixture(scope="module")
def openapi(settings: Settings) -> dict[str, Any]:
    """Return the document."""
    return document(settings)


def accepts(openapi: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> bool:
    """Say whether a schema of the document accepts a value; knows the keywords it uses."""
    if "$ref" in schema:
        return accepts(openapi, openapi["components"]["schemas"][schema["$ref"][21:]], value)
    if "oneOf" in schema:
        return sum(accepts(openapi, one, value) for one in schema["oneOf"]) == 1
    if "anyOf" in schema:
        return any(accepts(openapi, one, value) for one in schema["anyOf"])
    kinds = schema.get("type", list(TYPES))
    typed = any(_is(kind, value) for kind in ([kinds] if isinstance(kinds, str) else kinds))
    named = value in schema.get("enum", [value]) and value == schema.get("const", value)
    return typed and named and _is_within(openapi, schema, value)


def _is(kind: str, value: Any) -> bool:
    if kind == "integer" and isinstance(value, float):  # JSON Schema, section 4.2.3
        return value.is_integer()
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _is_within(openapi: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        whole = set(schema.get("required", ())) <= set(value)
        closed = schema.get("additionalProperties") is not False or set(value) <= set(known)
        parts = all(accepts(openapi, known[name], value[name]) for name in value if name in known)
        return whole and closed and parts
    if isinstance(value, str):
        length_ok = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        return length_ok and bool(re.search(schema.get("pattern", ""), value))
    if isinstance(value, list):
        length_ok = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        each = schema.get("prefixItems") or [schema["items"]] * len(value)
        return length_ok and all(map(accepts, [openapi] * len(value), each, value))
    return value is None or isinstance(value, bool) or _is_in_range(schema, value)


def _is_in_range(schema: Mapping[str, Any], value: Any) -> bool:
    within = schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return bool(within and value % schema.get("multipleOf", value or 1) == 0)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def test_references_lead_somewhere(openapi: dict[str, Any]) -> None:
    """Every reference names a schema that is there, and every schema is referred to."""
    schemas = openapi["components"]["schemas"]
    named = set(_references(openapi))

    assert named == {f"#/components/schemas/{name}" for name in schemas}
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in schemas)
    assert openapi["openapi"].startswith("3.1.")


def test_every_native_endpoint_is_described(openapi: dict[str, Any], settings: Settings) -> None:
    """Each route of the own API is in the document, and the document has no other."""
    routes = [route for route in create_app(settings).routes if isinstance(route, Route)]
    native = {route.path for route in routes if route.endpoint.__module__ in NATIVE}

    assert set(openapi["paths"]) == native


@pytest.mark.parametrize(("model", "mode"), FORMS)
def test_one_schema_per_model(openapi: dict[str, Any], model: str, mode: str) -> None:
    """A model's body is accepted by its own schema alone, and by none without its model."""
    new_job = openapi["components"]["schemas"]["NewJob"]
    for given in (minimal(MODELS[model], mode), full(MODELS[model], mode)):
        assert accepts(openapi, new_job, {"model": model, "input": given})
        assert not accepts(openapi, new_job, {"input": given})
        assert not accepts(openapi, new_job, {"model": model, "input": {**given, "promt": ""}})
        assert not accepts(openapi, new_job, {"model": model, "input": given, "priority": 101})


def test_what_a_schema_cannot_say(openapi: dict[str, Any], settings: Settings) -> None:
    """The document never refuses what we take; it takes too much only where no schema can help."""
    for model, mode in ((MODELS[name], mode) for name, mode in FORMS):
        schema = openapi["components"]["schemas"][f"Input.{model.name.replace('/', '.')}"]
        for name, one in parameters_of(model, mode).items():
            for value in probes(one):
                ours = field_errors_for(model, name, value, settings, mode) == []
                theirs = accepts(openapi, schema, {**minimal(model, mode), name: value})
                where = f"{model.name}.{name} = {value!r:.80}"
                assert theirs or not ours, where
                assert ours == theirs or _beyond_schemas(one.kind, value), where


def _beyond_schemas(kind: Kind, value: Any) -> bool:
    """Say whether no keyword of JSON Schema could tell that a value is bad."""
    if kind in FILES and value and isinstance(value, list):
        return all(isinstance(one, str) for one in value) or value[0][1:] == [picture()]
    return kind in (*FILES, Kind.ASPECT_RATIO, Kind.TEXT) and isinstance(value, str)


def test_bounds_of_the_body_are_the_checks_own(openapi: dict[str, Any]) -> None:
    """Priority, key and bucket have the bounds that the checks use."""
    schemas = openapi["components"]["schemas"]
    priority = schemas["NewJob.flux-2-pro"]["properties"]["priority"]

    assert (priority["minimum"], priority["maximum"]) == (-100, 100)
    assert schemas["NewOutput"]["properties"]["key"]["maxLength"] == 900
    assert schemas["NewOutput"]["properties"]["bucket"]["enum"] == ["pictures", None]


def test_a_job_is_described_as_it_is_shown(openapi: dict[str, Any]) -> None:
    """The schema of a job requires the fields that the API shows, and the view of one fits it."""
    request = JobRequest(tenant="a", model="flux-dev", input={}, created_at=0.0, deadline_at=1.0)
    timeline = ((Status.QUEUED, 0.0),)
    view = job_view(Job(id=JobId("1"), status=Status.QUEUED, request=request, timeline=timeline))
    schema = openapi["components"]["schemas"]["Job"]

    assert list(schema["properties"]) == schema["required"] == list(view)
    assert list(schema["properties"]["provider"]["properties"]) == list(view["provider"])
    assert accepts(openapi, schema, view)


def test_the_page_names_no_other_host() -> None:
    """The page that renders the document loads nothing from elsewhere."""
    page = (Path(__file__).parents[2] / "service" / "api" / "docs.html").read_text(encoding="utf-8")

    assert re.findall(r"(?:https?:)?//\w[^\s\"']*", page) == []
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", page) == [
        "data:,",
        "openapi.json",
        "openapi.json",
    ]
