"""What a caller can learn from a running service: its models, its OpenAPI document, its page."""

import base64
import json
import re
import secrets
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.provider.catalogue import MODELS
from stack.servers.fluxrelay import service_process
from stack.servers.ports import Ports
from stack.stack import Stack
from tests.http.conftest import Caller
from tests.model_inputs import minimal

ROOT = Path(__file__).resolve().parent.parent.parent
Callers = Callable[[str, str | None], Caller]


def test_models(api: Caller) -> None:
    """Every model is shown, with the bounds that its parameters have."""
    shown = {model["name"]: model for model in api.get("/v1/models").json()["models"]}

    assert list(shown) == list(MODELS)
    for name, model in MODELS.items():
        assert shown[name]["endpoint"] == f"/v1/{name}"
        assert shown[name]["parameters"].keys() == model.parameters.keys()
        variants = [(tuple(one["names"]), [*one["parameters"]]) for one in shown[name]["variants"]]
        assert variants == [(one.names, [*one.parameters]) for one in model.variants]
    assert shown["flux-pro-1.1"]["parameters"]["width"] == {
        "kind": "integer",
        "required": False,
        "minimum": 256,
        "maximum": 1440,
        "multiple_of": 32,
    }
    assert not shown["flux-tools/outpainting-v1"]["webhook"]
    images = shown["flux-3-image"]["parameters"]["images"]
    assert (images["kind"], images["most"], images["shortest_side"]) == ("images", 10, 256)


def test_models_need_a_key(relay: Stack, callers: Callers) -> None:
    """Without a key, or with a wrong one, the models are not shown."""
    for key in (None, "wrong"):
        answer = callers(relay.service_url, key).get("/v1/models")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"


def test_openapi_needs_no_key(relay: Stack, callers: Callers) -> None:
    """Anybody can read the document, which has one schema per model."""
    answer = callers(relay.service_url, None).get("/openapi.json")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    new_job = answer.json()["components"]["schemas"]["NewJob"]
    assert list(new_job["discriminator"]["mapping"]) == list(MODELS)


def test_the_page(relay: Stack, callers: Callers) -> None:
    """The page may run its own script, talk to its own origin, and do nothing else."""
    answer = callers(relay.service_url, None).get("/docs")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; connect-src 'self'; ")
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.fixture(scope="module")
def own(
    relay: Stack, ports: Ports, callers: Callers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Caller]:
    """Run a service that offers two models, one of which is the deployment's own."""
    folder = tmp_path_factory.mktemp("own")
    models = folder / "models.json"
    prompt = {"kind": "text", "required": True, "longest": 20}
    entry = {"name": "flux-own", "like": "flux-dev", "parameters": {"prompt": prompt}}
    models.write_text(json.dumps({"models": [entry]}))
    port, key = ports.take(), secrets.token_hex(16)
    variables = relay.processes["service"].environment | {
        "FLUXRELAY_PORT": str(port),
        "FLUXRELAY_API_KEYS": f"demo:{key}",
        "FLUXRELAY_MODELS": "flux-own,flux-2-pro",
        "FLUXRELAY_MODELS_FILE": str(models),
    }
    process = service_process(port, variables=variables, logs=Path(folder))
    try:
        process.start()
        process.wait_ready()
        yield callers(f"http://127.0.0.1:{port}", key)
    finally:
        process.stop()


def test_a_deployment_with_models_of_its_own(own: Caller) -> None:
    """Models and document are those that the deployment offers."""
    models = own.get("/v1/models").json()["models"]
    schemas = own.get("/openapi.json").json()["components"]["schemas"]

    assert [model["name"] for model in models] == ["flux-own", "flux-2-pro"]
    assert len(schemas["NewJob"]["oneOf"]) == 2
    assert schemas["Input.flux-own"]["properties"]["prompt"]["maxLength"] == 20


def test_a_model_that_is_not_offered(own: Caller) -> None:
    """A built-in model that the deployment leaves out is refused, with those it has."""
    answer = own.post({"model": "flux-dev", "input": minimal(MODELS["flux-dev"])})

    assert answer.status_code == 422
    (field_error,) = answer.json()["errors"]
    assert field_error["field"] == "model"
    assert field_error["allowed"] == "one of flux-own, flux-2-pro"


def test_the_bounds_of_an_own_model(own: Caller) -> None:
    """The file's bounds are those that a body is held against."""
    answer = own.post({"model": "flux-own", "input": {"prompt": "x" * 21, "steps": 51}})

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["input.prompt", "input.steps"]


def test_metrics(relay: Stack, callers: Callers) -> None:
    """Prometheus' own parser reads them; each documented metric is there, and no other."""
    answer = callers(relay.service_url, None).get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.text))
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(fluxrelay_\w+)`", page.partition("## Metrics")[2]))
    named = {family.name + "_total" * (family.type == "counter") for family in families}
    assert named == documented
    assert all(family.documentation for family in families)
