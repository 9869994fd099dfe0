"""The OpenAPI document's examples fit its schemas, and are what the service takes."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from core.jobs.callback_events import CallbackEvent
from core.provider.catalogue import MODELS
from core.settings.settings import SERVICE, Settings
from service.intake.job_request import parse_job
from service.openapi.document import document
from tests.doc_pages import page

Operation = Mapping[str, Any]


@pytest.fixture(scope="module")
def openapi(settings: Settings) -> dict[str, Any]:
    """Return the document."""
    return document(settings)


def operations(openapi: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield each operation, and each webhook."""
    for part in ("paths", "webhooks"):
        for item in openapi[part].values():
            yield from (one for method, one in item.items() if method != "parameters")


def contents(one: Operation) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what an operation's body and answers hold as JSON, with a name for each."""
    parts = {"body": one.get("requestBody", {}), **one["responses"]}
    for name, part in parts.items():
        for media, content in part.get("content", {}).items():
            if "json" in media:
                yield f"{one['operationId']} {name} {media}", content


def examples(content: Mapping[str, Any]) -> list[Any]:
    """Return the examples of a body or an answer."""
    named = [example["value"] for example in content.get("examples", {}).values()]
    return [*named, content["example"]] if "example" in content else named


def resolved(openapi: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema, or the one that it refers to."""
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = openapi["components"]["schemas"][schema["$ref"].split("/")[-1]]
    return found


def unknown_fields(
    openapi: Mapping[str, Any], schema: Mapping[str, Any], value: Any, where: str = ""
) -> Iterator[str]:
    """Yield the fields of a value that its schema does not name."""
    schema = resolved(openapi, schema)
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from unknown_fields(openapi, schema.get("items", {}), one, f"{where}[{number}]")
    elif isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        for name, inner in value.items():
            if name in known:
                yield from unknown_fields(openapi, known[name], inner, f"{where}.{name}")
            else:
                yield f"{where}.{name}"


def test_every_operation_is_explained(openapi: dict[str, Any]) -> None:
    """Each operation has a name of its own, a group, a summary and a description."""
    shown = list(operations(openapi))
    names = [one["operationId"] for one in shown]

    assert len(set(names)) == len(names)
    for one in shown:
        assert one["summary"], one["operationId"]
        assert len(one["description"]) > len(one["summary"]), one["operationId"]
        assert all(answer["description"] for answer in one["responses"].values())
        for parameter in one.get("parameters", ()):
            assert parameter["description"], (one["operationId"], parameter["name"])
    groups = dict.fromkeys(tag for one in shown for tag in one["tags"])
    assert [tag["name"] for tag in openapi["tags"]] == list(groups)


def test_what_was_created_leads_to_what_takes_its_id(openapi: dict[str, Any]) -> None:
    """The answer with a new job links to each operation that takes a job's id and no other."""
    links = openapi["paths"]["/v1/jobs"]["post"]["responses"]["202"]["links"]
    taking = {
        one["operationId"]
        for path, item in openapi["paths"].items()
        if re.findall(r"{(\w+)}", path) == ["job_id"]
        for method, one in item.items()
        if method != "parameters"
    }

    assert set(links) == taking
    assert all(link["parameters"] == {"job_id": "$response.body#/id"} for link in links.values())


def test_every_body_and_answer_has_an_example(openapi: dict[str, Any]) -> None:
    """Each JSON body, answer and problem of each operation has at least one example."""
    parts = [part for one in operations(openapi) for part in contents(one)]
    assert [name for name, content in parts if not examples(content)] == []


def test_every_example_fits_its_schema(openapi: dict[str, Any]) -> None:
    """Each example is valid, and has no field that its schema does not name."""
    for one in operations(openapi):
        for name, content in contents(one):
            schema = {**content["schema"], "components": openapi["components"]}
            for example in examples(content):
                found = [str(error) for error in Draft202012Validator(schema).iter_errors(example)]
                assert found == [], name
                assert list(unknown_fields(openapi, content["schema"], example)) == [], name


def test_every_model_has_an_example_that_is_taken(
    openapi: dict[str, Any], settings: Settings
) -> None:
    """Each model's examples are jobs that the service takes, and all its variants have one."""
    for model in MODELS.values():
        schema = openapi["components"]["schemas"][f"NewJob.{model.name.replace('/', '.')}"]
        for example in schema["examples"]:
            assert parse_job(json.loads(json.dumps(example)), settings).model == model.name
            validator = Draft202012Validator({**schema, "components": openapi["components"]})
            assert list(validator.iter_errors(example)) == []
        modes = [example["input"].get(model.variant_field, "") for example in schema["examples"]]
        assert modes == ([one.names[0] for one in model.variants] or [""])


def test_the_examples_of_a_body_are_taken(openapi: dict[str, Any], settings: Settings) -> None:
    """The bodies shown for `POST /v1/jobs` are taken, and one of them has every field."""
    content = openapi["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]
    bodies = examples(content)
    for body in bodies:
        parse_job(json.loads(json.dumps(body)), settings)
    schema = openapi["components"]["schemas"][f"NewJob.{bodies[-1]['model']}"]

    assert set(bodies[-1]) == set(schema["properties"])


def test_examples_name_offered_models_only(settings: Settings) -> None:
    """Where a deployment offers one model, the bodies shown are its own."""
    environment = {
        "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
        "FLUXRELAY_API_KEYS": "demo:api-key-of-a-test-0001",
        "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0",
        "FLUXRELAY_S3_BUCKET": settings.s3_bucket,
        "FLUXRELAY_MODELS": "flux-pro-1.0-fill",
    }
    only = document(Settings.from_env(environment, SERVICE))
    content = only["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]

    assert {body["model"] for body in examples(content)} == {"flux-pro-1.0-fill"}


def test_every_type_of_callback_is_shown(openapi: dict[str, Any]) -> None:
    """Each type of event that is sent to a receiver is a webhook of the document."""
    assert list(openapi["webhooks"]) == list(CallbackEvent)


def test_every_problem_shown_is_listed(openapi: dict[str, Any]) -> None:
    """The type of each problem shown stands in the callers' table of errors, with its status."""
    table = page("docs/api/errors.md")
    for one in operations(openapi):
        for name, content in contents(one):
            for example in examples(content):
                if not name.endswith("problem+json"):
                    continue
                kind = example["type"].removeprefix("urn:fluxrelay:problem:")
                row = next((line for line in table.splitlines() if f"`{kind}`" in line), "")
                assert row.startswith(f"| {example['status']} |"), name
