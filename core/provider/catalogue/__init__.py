"""The models that can be asked for, as data: validation, API pages and docs are made from it.

Each entry says which document its facts are from; where the provider's documents disagree the
wider range stands here, for the provider has the last word anyway. Defaults are never filled in:
only what the caller sent is sent on. `core.provider.models_file` reads a deployment's own models.
"""

from collections.abc import Mapping
from typing import Final

from core.provider.catalogue.entry import (
    LARGEST_IMAGE_BYTES,
    LARGEST_IMAGE_PIXELS,
    WIDEST_RATIO,
    Kind,
    Model,
    Parameter,
)
from core.provider.catalogue.flux_1 import FLUX_1
from core.provider.catalogue.flux_2 import FLUX_2, TOOLS

__all__ = [
    "LARGEST_IMAGE_BYTES",
    "LARGEST_IMAGE_PIXELS",
    "MODELS",
    "WIDEST_RATIO",
    "Kind",
    "Model",
    "Parameter",
]

#: The built-in models by name.
MODELS: Final[Mapping[str, Model]] = {model.name: model for model in (*FLUX_2, *FLUX_1, *TOOLS)}
