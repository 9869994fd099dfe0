"""Writes files of models, and tells what is wrong with them."""

import json
from pathlib import Path

import pytest

from core.provider.models_file import read_models
from core.text_values import ManyProblems

#: A small model.
NEW = {"name": "flux-9", "source": "a test", "parameters": {"prompt": {"kind": "text"}}}


def write(folder: Path, *models: object) -> str:
    """Write a file with these models; return its path."""
    path = folder / "models.json"
    path.write_text(json.dumps({"models": models}))
    return str(path)


def problems_of(path: str) -> tuple[str, ...]:
    """Return what is wrong with a file."""
    with pytest.raises(ManyProblems) as caught:
        read_models(path)
    return caught.value.problems
