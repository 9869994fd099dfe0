"""Bodies of new jobs, made from the models that a deployment offers."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.provider.catalogue import Kind, Model, Parameter
from core.settings.settings import Settings

_IMAGE_URL: Final = "https://images.example/lake.jpg"
#: A white pixel as PNG, for the few parameters that take no URLs.
_IMAGE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
_VIDEO_URL: Final = "https://videos.example/boat.mp4"
_BUNDLE_URL: Final = "https://pictures.s3.amazonaws.com/boat.mp4.draft_cache.bin?X-Amz-Signature=0f"
_TEXTS: Final[Mapping[str, str]] = {"finetune_id": "my-finetune"}
_PROMPT: Final = "A red fox in fresh snow"
#: Shown although most models do not require it.
_ALWAYS_SHOWN: Final = "prompt"
_EVERYTHING: Final[Mapping[str, Any]] = {
    "callback": {"url": "https://app.example/done", "events": ["job.succeeded", "job.failed"]},
    "output": {"key": "orders/1042/{job_id}.{ext}"},
    "region": None,
    "priority": 10,
    "regenerate": False,
    "max_resubmits": 1,
    "metadata": {"order": "1042"},
    "deadline": 3600,
}


#: Bodies of `POST /v1/jobs/cancel`.
CANCEL_JOBS: Final[Mapping[str, Any]] = {
    "some": {
        "summary": "Waiting jobs of a time",
        "value": {"status": ["queued"], "created_before": "2026-11-21T16:25:00Z", "confirm": 12},
    },
    "all": {"summary": "All jobs", "value": {"all": True, "confirm": 40}},
}


#: Bodies of `POST /v1/callbacks/replay` and `POST /v1/callbacks/test`.
REPLAY_CALLBACKS: Final[Mapping[str, Any]] = {
    "since": {"summary": "Since an outage", "value": {"since": "2026-11-21T16:25:00Z"}}
}
TEST_CALLBACK: Final[Mapping[str, Any]] = {
    "sample": {
        "summary": "A sample of a success",
        "value": {"url": "https://app.example/done", "type": "job.succeeded"},
    }
}


def new_job_examples(settings: Settings) -> dict[str, Any]:
    """Return bodies of `POST /v1/jobs`: the smallest one, and one with all fields."""
    first = next(iter(settings.models.values()))
    smallest = next(model_bodies(first))
    return {
        "smallest": {"summary": "The smallest body", "value": smallest},
        "everything": {"summary": "All fields", "value": {**smallest, **_EVERYTHING}},
    }


def new_batch_examples(settings: Settings) -> dict[str, Any]:
    """Return bodies of `POST /v1/batches`: the smallest one, and one with all fields."""
    first = next(model_bodies(next(iter(settings.models.values()))))
    items = [{"custom_id": f"item-{number}", **first} for number in (1, 2)]
    everything = {
        "items": items,
        "defaults": {"priority": 5},
        "on_error": "skip",
        "callback": {"url": "https://app.example/done"},
        "behind_single_jobs": True,
        "metadata": {"catalogue": "winter"},
        "deadline": 86_400,
        "results_key": "orders/{date}/{batch_id}.ndjson",
    }
    return {
        "smallest": {"summary": "The smallest body", "value": {"items": items[:1]}},
        "everything": {"summary": "All fields", "value": everything},
    }


def as_lines(bodies: Mapping[str, Any]) -> dict[str, Any]:
    """Return examples of `POST /v1/batches` as NDJSON: the options, and a line per item."""
    return {
        name: {"summary": body["summary"], "value": _lines(body["value"])}
        for name, body in bodies.items()
    }


def _lines(batch: Mapping[str, Any]) -> str:
    options = {name: value for name, value in batch.items() if name != "items"}
    lines = [*([options] if options else []), *batch["items"]]
    return "".join(json.dumps(line) + "\n" for line in lines)


def model_bodies(model: Model) -> Iterator[dict[str, Any]]:
    """Yield a body for each variant of a model."""
    for variant in model.variants:
        given = {model.variant_field: variant.names[0], **_values(variant.parameters)}
        yield {"model": model.name, "input": given}
    if not model.variants:
        yield {"model": model.name, "input": _values(model.parameters)}


def _values(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    return {
        name: _value(name, one)
        for name, one in parameters.items()
        if one.required or name == _ALWAYS_SHOWN
    }


def _value(name: str, parameter: Parameter) -> Any:
    values: dict[Kind, Any] = {
        Kind.TEXT: _TEXTS.get(name, _PROMPT)[: parameter.longest],
        Kind.INTEGER: _number(parameter),
        Kind.NUMBER: _number(parameter),
        Kind.BOOLEAN: True,
        Kind.CHOICE: next(iter(parameter.choices), None),
        Kind.ASPECT_RATIO: "1:1",
        Kind.VIDEO: _VIDEO_URL,
        Kind.BUNDLE: _BUNDLE_URL,
    }
    return values.get(parameter.kind, _IMAGE_URL if parameter.urls else _IMAGE)


def _number(parameter: Parameter) -> float:
    """Return a usual size, moved into the parameter's bounds."""
    step = parameter.multiple_of or 1
    least, most = parameter.minimum or 0, parameter.maximum
    number = 1024.0 if most is None else min(1024.0, most)
    return max(int(number) // step * step, least)
