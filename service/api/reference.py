"""Reference for callers: `GET /v1/models`, `/openapi.json` and `/docs`."""

import base64
import re
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from core.provider.catalogue import FILES, Model, Parameter
from service.http.auth import tenant_of
from service.http.problems import JsonAnswer
from service.http.query_parameters import refuse_all
from service.state import State

_PAGE: Final = (Path(__file__).parent / "docs.html").read_text(encoding="utf-8")


def _inline_sources(tag: str) -> str:
    """Return CSP hashes of the page's inline scripts or styles (CSP level 3, hash-source)."""
    contents = re.findall(rf"<{tag}>(.*?)</{tag}>", _PAGE, re.DOTALL)
    digests = (base64.b64encode(sha256(text.encode()).digest()).decode() for text in contents)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


#: What is shown of a parameter if it has it.
_SHOWN: Final = (
    *("minimum", "maximum", "multiple_of", "word", "longest", "choices", "shortest_side"),
    *("most_pixels", "most_bytes", "most_seconds", "only_with", "duration", "disagreement"),
)
_HEADERS: Final = {
    "content-security-policy": (
        f"default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"script-src {_inline_sources('script')}; style-src {_inline_sources('style')}"
    ),
    "x-content-type-options": "nosniff",
}


async def list_models(request: Request[State]) -> Response:
    """Return the models that this deployment offers, with the bounds of their parameters."""
    settings = request.state["settings"]
    tenant_of(request, settings.api_keys)
    refuse_all(request)
    return JsonAnswer({"models": [model_view(model) for model in settings.models.values()]})


async def show_openapi(request: Request[State]) -> Response:
    """Return the OpenAPI document; it needs no key."""
    return JsonAnswer(request.state["openapi"])


async def show_docs(_request: Request[State]) -> Response:
    """Return the page that renders the OpenAPI document; it loads nothing from elsewhere."""
    return HTMLResponse(_PAGE, headers=_HEADERS)


def model_view(model: Model) -> dict[str, Any]:
    """Return a model as callers see it."""
    return {
        "name": model.name,
        "endpoint": model.path,
        "source": model.source,
        "webhook": model.webhook,
        "cost_on_submit": model.cost_on_submit,
        "most_pixels": model.most_pixels,
        "media": model.media,
        "parameters": _parameter_views(model.parameters),
        "variant_field": model.variant_field or None,
        "variants": [
            {"names": list(one.names), "parameters": _parameter_views(one.parameters)}
            for one in model.variants
        ],
    }


def _parameter_views(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    return {name: _parameter_view(one) for name, one in parameters.items()}


def _parameter_view(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter's kind, whether it is required, and its bounds."""
    view = {"kind": parameter.kind, "required": parameter.required}
    if parameter.kind in FILES:
        view["urls"] = parameter.urls
    if FILES.get(parameter.kind):
        view["most"] = parameter.most
    others = asdict(parameter)
    shown = {name: others[name] for name in _SHOWN if others[name] not in (None, (), "", {})}
    return {**view, **shown}
