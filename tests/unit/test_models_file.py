"""A deployment adds models by a file and restricts the list, without code."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsError
from core.jobs.job import JobRequest
from core.media.image_formats import FORMATS
from core.provider.accounts import Account, with_known_limits
from core.provider.catalogue import MODELS, Kind, Parameter
from core.provider.models_file import offered, read_models
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import SERVICE, WORKER, Settings
from core.text_values import SlotLimits
from tests.unit.models_files import NEW, problems_of, write

NEEDED = {
    "BFL_API_KEY": "provider-key-of-a-test",
    "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
    "FLUXRELAY_API_KEYS": "demo:api-key-of-a-test-0001",
    "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0",
    "FLUXRELAY_S3_BUCKET": "pictures",
}


def test_no_file_no_models() -> None:
    """Without a file nothing is added."""
    assert read_models("") == {}


def test_a_whole_model(tmp_path: Path) -> None:
    """An entry of its own has the shape of the built-in ones, and their defaults."""
    parameters = {
        "prompt": {"kind": "text", "required": True, "minimum": 1, "longest": 9},
        "size": {"kind": "integer", "minimum": 64, "maximum": 128, "multiple_of": 8},
        "mode": {"kind": "choice", "choices": ["a", "b"], "disagreement": "They differ."},
        "mask": {"kind": "image", "urls": False},
    }
    entry = {**NEW, "parameters": parameters, "webhook": False, "cost_on_submit": True}

    model = read_models(write(tmp_path, entry))["flux-9"]

    assert (model.path, model.source) == ("/v1/flux-9", "a test")
    assert (model.webhook, model.cost_on_submit, model.lane) == (False, True, "")
    assert model.parameters == {
        "prompt": Parameter(kind=Kind.TEXT, required=True, minimum=1, longest=9),
        "size": Parameter(kind=Kind.INTEGER, minimum=64, maximum=128, multiple_of=8),
        "mode": Parameter(kind=Kind.CHOICE, choices=("a", "b"), disagreement="They differ."),
        "mask": Parameter(kind=Kind.IMAGE, urls=False),
    }


def test_like_another(tmp_path: Path) -> None:
    """A copy has all of its model, but for parameters that are replaced, added or taken away."""
    pro = MODELS["flux-2-pro"]
    parameters = {"seed": {"kind": "number"}, "raw": {"kind": "boolean"}, "disable_pup": None}
    first = {"name": "flux-2-next", "like": "flux-2-pro", "parameters": parameters}
    second = {"name": "flux-2-later", "like": "flux-2-next", "lane": "flux-2-next"}

    models = read_models(write(tmp_path, first, second))

    wanted = {name: one for name, one in pro.parameters.items() if name != "disable_pup"}
    wanted |= {"seed": Parameter(kind=Kind.NUMBER), "raw": Parameter(kind=Kind.BOOLEAN)}
    assert models["flux-2-next"] == dataclasses.replace(pro, name="flux-2-next", parameters=wanted)
    assert models["flux-2-later"] == dataclasses.replace(
        models["flux-2-next"], name="flux-2-later", lane="flux-2-next"
    )


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("text", "models[0]: must be an object"),
        ({}, "models[0].name: is missing"),
        ({"name": "flux-9"}, "models[0].source: is missing"),
        ({"name": "flux-9"}, "models[0].parameters: is missing"),
        ({**NEW, "name": "../credits"}, "models[0].name: must be an endpoint's name"),
        ({**NEW, "name": "a b"}, "models[0].name: must be an endpoint's name"),
        ({**NEW, "like": "flux-8"}, "models[0].like: flux-8 is not a known model"),
        ({**NEW, "webhook": "no"}, "models[0].webhook: must be true or false"),
        ({**NEW, "prize": 1}, "models[0].prize: is not known"),
        ({**NEW, "parameters": []}, "models[0].parameters: must be an object"),
    ],
)
def test_a_bad_model(tmp_path: Path, entry: object, problem: str) -> None:
    """What is wrong with a model is said with its place."""
    assert any(line.startswith(problem) for line in problems_of(write(tmp_path, entry)))


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("x", {}, ".kind: is missing"),
        ("x", 7, ": must be an object"),
        ("x", {"kind": "colour"}, ".kind: must be one of text"),
        ("x", {"kind": ["text"]}, ".kind: must be one of text"),
        ("x", {"kind": "text", "longest": 0}, ".longest: must be a whole number above 0"),
        ("x", {"kind": "number", "minimum": True}, ".minimum: must be a number"),
        ("x", {"kind": "number", "minimum": 2, "maximum": 1}, ".minimum: is above the maximum"),
        ("x", {"kind": "integer", "multiple_of": 0.5}, ".multiple_of: must be a whole number"),
        ("x", {"kind": "choice"}, ".choices: is allowed for the kind choice only"),
        ("x", {"kind": "choice", "choices": []}, ".choices: must be an array of texts"),
        ("x", {"kind": "text", "choices": ["a"]}, ".choices: is allowed for the kind choice only"),
        ("x", {"kind": "text", "default": ""}, ".default: is not known"),
        ("x/../y", {"kind": "image"}, ": a name has at most 64"),
        (
            "output_format",
            {"kind": "choice", "choices": ["jpeg", "gif", "avif"]},
            ".choices: gif, avif: only jpeg, png, webp can be stored",
        ),
        ("output_format", {"kind": "choice", "choices": ["JPEG"]}, ".choices: JPEG: only"),
        ("output_format", {"kind": "text"}, ".kind: must be choice, of formats that can be"),
        ("output_format", {}, ".kind: is missing"),
        ("webhook_url", {"kind": "text"}, ": is set by FluxRelay itself"),
        ("webhook_secret", {"kind": "text"}, ": is set by FluxRelay itself"),
    ],
)
def test_a_bad_parameter(tmp_path: Path, name: str, value: object, problem: str) -> None:
    """What is wrong with a parameter is said with its place."""
    path = write(tmp_path, {**NEW, "parameters": {name: value}})
    said = problems_of(path)[0]
    assert said.startswith(f"models[0].parameters.{name}{problem}")


@pytest.mark.parametrize("choices", [["png"], ["webp", "jpeg"], ["jpeg", "png", "webp"]])
def test_formats_that_can_be_stored(tmp_path: Path, choices: list[str]) -> None:
    """A model may offer any of the formats that results may have."""
    form = {"kind": "choice", "choices": choices}
    path = write(tmp_path, {**NEW, "parameters": {"output_format": form}})

    model = read_models(path)["flux-9"]

    assert model.parameters["output_format"].choices == tuple(choices)


def test_what_every_model_offers_can_be_stored() -> None:
    """The built-in models offer nothing that is refused once it is paid for."""
    offers = [model.parameters.get("output_format") for model in MODELS.values()]

    assert {choice for offer in offers if offer for choice in offer.choices} == set(FORMATS)


def test_huge_and_unreal_numbers(tmp_path: Path) -> None:
    """NaN and infinity are no bounds; a whole number of any size is one."""
    path = tmp_path / "models.json"
    for number, is_fine in (("NaN", False), ("1e999", False), ("1" + "0" * 400, True)):
        entry = json.dumps({**NEW, "parameters": {"x": {"kind": "integer", "maximum": 0}}})
        text = entry.replace('"maximum": 0', f'"maximum": {number}')
        path.write_text(f'{{"models": [{text}]}}')
        if is_fine:
            assert read_models(str(path))["flux-9"].parameters["x"].maximum == 10**400
        else:
            assert problems_of(str(path)) == ("models[0].parameters.x.maximum: must be a number",)


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Every mistake in the file is one line of the settings' error, beside those of others."""
    bad: dict[str, Any] = {"x": {"kind": "colour"}, "y": {"kind": "choice"}}
    path = write(tmp_path, {**NEW, "parameters": bad}, NEW, NEW, {"name": "flux-10", "like": "?"})
    environ = {**NEEDED, "FLUXRELAY_MODELS_FILE": path, "FLUXRELAY_S3_BUCKET": ""}
    # Its names cannot be judged while the file is bad.
    environ["FLUXRELAY_MODELS"] = "flux-10"

    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, SERVICE)

    assert [line.partition(": ")[0] for line in caught.value.problems] == [
        *["FLUXRELAY_MODELS_FILE"] * 4,
        "FLUXRELAY_S3_BUCKET",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "must hold"),
        ('{"models": {}}', "must hold"),
        ('{"models": [], "more": 1}', "must hold"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: str | None, words: str) -> None:
    """A file that cannot be read, or is something else, is a problem of its variable."""
    path = tmp_path / "models.json"
    if content is not None:
        path.write_text(content)
    environ = {**NEEDED, "FLUXRELAY_MODELS_FILE": str(path)}

    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, WORKER)

    (problem,) = caught.value.problems
    assert problem.startswith(f"FLUXRELAY_MODELS_FILE: {words}")


def test_the_effective_catalogue(tmp_path: Path) -> None:
    """Unset, all models are offered; set, these alone, while workers know them all."""
    environ = {**NEEDED, "FLUXRELAY_MODELS_FILE": write(tmp_path, NEW)}
    restricted = environ | {"FLUXRELAY_MODELS": "flux-9, flux-2-pro"}

    assert list(Settings.from_env(NEEDED, SERVICE).models) == list(MODELS)
    assert list(Settings.from_env(environ, SERVICE).models) == [*MODELS, "flux-9"]
    assert list(Settings.from_env(restricted, SERVICE).models) == ["flux-9", "flux-2-pro"]
    assert list(Settings.from_env(restricted, WORKER).models) == [*MODELS, "flux-9"]


def test_an_unknown_name_is_refused() -> None:
    """A restriction to a model that nobody knows stops the service, with the ones there are."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**NEEDED, "FLUXRELAY_MODELS": "flux-2-pro,flux-9"}, SERVICE)

    (problem,) = caught.value.problems
    assert problem.startswith("FLUXRELAY_MODELS: flux-9: not known; known are flux-3-image,")


def test_a_model_takes_the_place_of_a_built_in_one(tmp_path: Path) -> None:
    """A bound that the provider changed is mended by a file."""
    side = {"kind": "integer", "minimum": 256, "maximum": 2048}
    entry = {"name": "flux-dev", "like": "flux-dev", "parameters": {"width": side}}

    models = offered(None, read_models(write(tmp_path, entry)))

    assert list(models) == list(MODELS)
    assert models["flux-dev"].parameters["width"].maximum == 2048
    assert models["flux-dev"].parameters["height"].maximum == 1440


def test_a_shared_limit(plain_settings: Settings) -> None:
    """A model waits in the lane of the one whose limit it shares, where that has a limit."""
    twin = dataclasses.replace(MODELS["flux-kontext-max"], name="twin", lane="flux-kontext-max")
    limits = SlotLimits(24, {"flux-kontext-max": 6})

    def lane(model: str, slots: SlotLimits) -> str:
        models = {**MODELS, "twin": twin}
        account = Account(name="default", url="https://h", slots=slots)
        accounts = (with_known_limits(account, models.values()),)
        settings = plain_settings.model_copy(update={"models": models, "accounts": accounts})
        store = JobStore(connect(settings), settings)  # connects at its first command only
        job = JobRequest(tenant="t", model=model, input={}, created_at=0.0, deadline_at=1.0)
        return store.lane(job)

    assert lane("flux-kontext-max", limits) == "flux-kontext-max"
    assert lane("twin", limits) == "flux-kontext-max"
    assert lane("twin", SlotLimits(24)) == lane("flux-dev", limits) == "any"
    assert lane("gone", limits) == "any"
