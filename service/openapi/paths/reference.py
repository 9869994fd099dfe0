"""The models, and the document itself."""

from typing import Final

from service.openapi.operations import NO_KEY, NO_QUERY, answer, json_of, operation, problems
from service.openapi.schemas import Json, reference

_TAG: Final = "Models and reference"


def paths() -> Json:
    """Return the endpoints."""
    models = operation(
        "list_models",
        _TAG,
        "List the models",
        "Lists the models that this deployment offers, with the bounds of their parameters.",
        answer("200", "The models.", json_of(reference("Models"))),
        problems(NO_KEY, NO_QUERY),
    )
    openapi = operation(
        "show_openapi",
        _TAG,
        "Show this document",
        "The OpenAPI document of this deployment, with a schema for each model it offers.",
        answer("200", "The document.", json_of({"type": "object"})),
        public=True,
    )
    page = operation(
        "show_docs",
        _TAG,
        "Show this document as a page",
        "A page that renders the document and loads nothing from elsewhere.",
        answer("200", "The page.", {"text/html": {}}),
        public=True,
    )
    return {
        "/v1/models": {"get": models},
        "/openapi.json": {"get": openapi},
        "/docs": {"get": page},
    }
