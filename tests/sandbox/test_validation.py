"""Bad bodies are answered as the provider's framework answers them, all errors at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import RunningSandbox

PRO = "flux-pro-1.1"
KONTEXT = "flux-kontext-pro"
DEV = "flux-dev"
FLEX = "flux-2-flex"
ULTRA = "flux-pro-1.1-ultra"
HEADERS = {"x-key": "sandbox-key-1", "content-type": "application/json"}


@pytest.mark.parametrize(
    ("model", "field", "value", "kind"),
    [
        (PRO, "width", 255, "multiple_of"),
        (PRO, "width", 224, "greater_than_equal"),
        (PRO, "width", 1472, "less_than_equal"),
        (PRO, "height", 224, "greater_than_equal"),
        (PRO, "height", 1472, "less_than_equal"),
        (PRO, "height", 300, "multiple_of"),
        (PRO, "width", None, "int_type"),
        (PRO, "width", "wide", "int_parsing"),
        (PRO, "width", [512], "int_type"),
        (PRO, "seed", 1.5, "int_from_float"),
        (PRO, "safety_tolerance", -1, "greater_than_equal"),
        (PRO, "safety_tolerance", 7, "less_than_equal"),
        (PRO, "prompt", 5, "string_type"),
        (PRO, "prompt", "\ud800", "string_unicode"),
        (PRO, "prompt_upsampling", "maybe", "bool_parsing"),
        (PRO, "prompt_upsampling", [], "bool_type"),
        (PRO, "output_format", "gif", "enum"),
        (PRO, "webhook_url", "", "string_too_short"),
        (PRO, "webhook_url", "http://h/" + "x" * 2075, "string_too_long"),
        (PRO, "webhook_url", "ftp://host/x", "url_scheme"),
        (PRO, "webhook_url", "/relative", "url_parsing"),
        (PRO, "webhook_url", "http://", "url_parsing"),
        (PRO, "webhook_url", "http://h:99999/", "url_parsing"),
        (PRO, "webhook_secret", 5, "string_type"),
        (PRO, "user", "", "string_too_short"),
        (DEV, "prompt", None, "string_type"),
        (DEV, "guidance", 1.49, "greater_than_equal"),
        (DEV, "guidance", 5.01, "less_than_equal"),
        (DEV, "guidance", "nan", "greater_than_equal"),
        (DEV, "guidance", 10**400, "less_than_equal"),
        (DEV, "guidance", -(10**400), "greater_than_equal"),
        (DEV, "guidance", "much", "float_parsing"),
        (DEV, "guidance", {}, "float_type"),
        (DEV, "steps", 0, "greater_than_equal"),
        (DEV, "steps", 51, "less_than_equal"),
        (FLEX, "width", 63, "greater_than_equal"),
        (FLEX, "safety_tolerance", 6, "less_than_equal"),
        (FLEX, "guidance", 10.5, "less_than_equal"),
        (ULTRA, "aspect_ratio", None, "string_type"),
        (ULTRA, "aspect_ratio", "64:27", "value_error"),
        (ULTRA, "image_prompt_strength", None, "float_type"),
        (ULTRA, "image_prompt_strength", 1.1, "less_than_equal"),
        (KONTEXT, "prompt", None, "string_type"),
        (KONTEXT, "aspect_ratio", "22:9", "value_error"),
        (KONTEXT, "aspect_ratio", "9:22", "value_error"),
        (KONTEXT, "aspect_ratio", "0:0", "value_error"),
        (KONTEXT, "aspect_ratio", "wide", "value_error"),
        (KONTEXT, "input_image", 5, "string_type"),
    ],
)
def test_a_bad_value_is_named(
    sandbox: RunningSandbox, model: str, field: str, value: object, kind: str
) -> None:
    """One bad value gives one error with its place, its kind and the value."""
    # Escaped by the JSON encoder of the standard library: a lone surrogate has no bytes.
    answer = sandbox.client.post(
        f"/v1/{model}", content=json.dumps({"prompt": "fine", field: value}), headers=HEADERS
    )
    assert answer.status_code == 422
    (field_error,) = answer.json()["detail"]
    assert field_error["loc"] == ["body", field]
    assert field_error["type"] == kind
    assert field_error["input"] == value
    assert field_error["msg"]


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (PRO, "width", 256),
        (PRO, "width", "1440"),
        (PRO, "height", 512.0),
        (PRO, "seed", None),
        (PRO, "seed", -1),
        (PRO, "seed", 2**70),
        (PRO, "prompt", None),
        (PRO, "safety_tolerance", 0),
        (PRO, "safety_tolerance", 6),
        (PRO, "prompt_upsampling", "yes"),
        (PRO, "output_format", None),
        (PRO, "a_field_nobody_knows", {"ignored": True}),
        (DEV, "guidance", "2.5"),
        (DEV, "guidance", None),
        (DEV, "guidance", 5),
        (FLEX, "width", 64),
        (FLEX, "guidance", 10),
        (FLEX, "steps", True),
        (FLEX, "prompt_upsampling", None),
        (FLEX, "input_image_blob_path", "somewhere"),
        (FLEX, "input_image_9", 5),
        (ULTRA, "image_prompt_strength", 0),
        (KONTEXT, "aspect_ratio", "21:9"),
        (KONTEXT, "aspect_ratio", "9:21"),
        (KONTEXT, "aspect_ratio", None),
    ],
)
def test_a_value_at_the_edge_is_accepted(
    sandbox: RunningSandbox, model: str, field: str, value: object
) -> None:
    """Bounds are inclusive, pydantic's lax readings hold, unknown fields are ignored."""
    assert sandbox.submit(model, **{"prompt": "fine", field: value}).status_code == 200


def test_all_errors_come_at_once(sandbox: RunningSandbox) -> None:
    """A body with three mistakes gets three errors, and no task is made."""
    before = len(sandbox.ledger()["tasks"])
    answer = sandbox.submit(KONTEXT, seed="x", output_format="bmp")
    places = {field_error["loc"][1]: field_error["type"] for field_error in answer.json()["detail"]}
    assert places == {"prompt": "missing", "seed": "int_parsing", "output_format": "enum"}
    assert len(sandbox.ledger()["tasks"]) == before


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"", 422, "missing"),
        (b"{", 422, "json_invalid"),
        (b"[]", 422, "model_attributes_type"),
        (b"null", 422, "model_attributes_type"),
        (b'{"prompt": "\xff"}', 400, None),
        (b'{"seed": NaN}', 400, None),
        (b'{"seed": 1e999}', 400, None),
        (b"[" * 100_000, 400, None),
    ],
)
def test_a_body_that_is_no_object_is_refused(
    sandbox: RunningSandbox, content: bytes, status: int, kind: str | None
) -> None:
    """Broken JSON and other things than objects are told apart."""
    answer = sandbox.client.post(f"/v1/{PRO}", content=content, headers=HEADERS)
    assert answer.status_code == status
    detail = answer.json()["detail"]
    assert (detail[0]["type"] if kind else None) == kind


def test_the_key_is_looked_at_before_the_body(sandbox: RunningSandbox) -> None:
    """A bad body from nobody is 403, not 422."""
    assert sandbox.submit(KONTEXT, "wrong-key-0").status_code == 403
