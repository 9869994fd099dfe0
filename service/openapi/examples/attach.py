"""Puts the examples beside the schemas of the OpenAPI document."""

from collections.abc import Mapping
from typing import Any, Final

from core.settings.settings import Settings
from service.openapi.examples.answers import ANSWERS
from service.openapi.examples.bodies import (
    CANCEL_JOBS,
    REPLAY_CALLBACKS,
    TEST_CALLBACK,
    as_lines,
    new_batch_examples,
    new_job_examples,
)
from service.openapi.examples.problems import problem
from service.openapi.schemas import Json

_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"


def attach_examples(paths: Json, settings: Settings) -> Json:
    """Give each body and answer of the document its examples; return the paths.

    Args:
        paths: The document's paths.
        settings: The models that bodies may name.
    """
    bodies: Mapping[str, Any] = {
        "create_job": new_job_examples(settings),
        "cancel_jobs": CANCEL_JOBS,
        "replay_callbacks": REPLAY_CALLBACKS,
        "test_callback": TEST_CALLBACK,
        "create_batch": new_batch_examples(settings),
    }
    for item in paths.values():
        for method, operation in item.items():
            if method != "parameters":
                _attach(operation, bodies.get(operation["operationId"]))
    return paths


def _attach(operation: Json, bodies: Mapping[str, Any] | None) -> None:
    name = operation["operationId"]
    if bodies:
        for media, content in operation["requestBody"]["content"].items():
            content["examples"] = bodies if media == _JSON else as_lines(bodies)
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        if _PROBLEM in content and (document := problem(name, status)):
            # The operations share their pieces, so these are not changed in place.
            one = {**content[_PROBLEM], "example": document}
            answer["content"] = {**content, _PROBLEM: one}
        elif _JSON in content and (answers := ANSWERS.get(name, {}).get(status)):
            named = {_key(title): _example(title, value) for title, value in answers.items()}
            answer["content"] = {**content, _JSON: {**content[_JSON], "examples": named}}


def _example(title: str, value: Any) -> dict[str, Any]:
    return {"summary": title, "value": value}


def _key(title: str) -> str:
    """Return a title as the name of a component."""
    return title.lower().replace(" ", "_")
