"""The names of the indexes that a job is listed from; the scripts in `core/redis/lua` keep them.

A tenant's indexes are `jobs:{tenant}:{name}`. The index of a job's status follows its moves; the
others are named in its record once and for all, as it is accepted.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from core.jobs.job import JobRequest


def index_names(request: JobRequest, indexed_metadata: Iterable[str]) -> str:
    """Return the names of a new job's indexes besides that of its status, with spaces between.

    Args:
        request: What was asked for.
        indexed_metadata: Keys of metadata by whose values jobs can be listed.
    """
    names = [model_index(request.model)]
    for key in indexed_metadata:
        text = value_text(request.metadata.get(key))
        if text is not None:
            names.append(metadata_index(key, text))
    return " ".join(names)


def model_index(model: str) -> str:
    """Return the name of the index of a model's jobs."""
    return f"model:{model}"


def metadata_index(key: str, text: str) -> str:
    """Return the name of the index of jobs that have a value in their metadata."""
    return f"metadata:{key}:{sha256(text.encode()).hexdigest()[:32]}"


def value_text(value: Any) -> str | None:
    """Return a value of metadata as it is compared; None if it is null, an object or an array.

    Texts stand for themselves; numbers and booleans are as in JSON, so the number 7 and the text
    "7" are equal.
    """
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) else None
