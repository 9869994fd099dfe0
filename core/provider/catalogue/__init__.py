"""The supported models as data, used for validation, API pages and docs.

Each entry names the document its facts come from. If the provider's documents disagree, the wider
range is used, because the provider validates anyway. Defaults are never filled in: only what the
caller sent is forwarded. `core.provider.models_file` reads a deployment's own models.
"""

from collections.abc import Mapping
from typing import Final

from core.provider.catalogue.entry import (
    BUNDLE_ROLE,
    FILES,
    LARGEST_IMAGE_BYTES,
    LARGEST_IMAGE_PIXELS,
    WIDEST_RATIO,
    Kind,
    Media,
    Model,
    Parameter,
    Variant,
)
from core.provider.catalogue.flux_1 import FLUX_1
from core.provider.catalogue.flux_2 import FLUX_2, TOOLS
from core.provider.catalogue.flux_3 import FLUX_3_IMAGES, FLUX_3_VIDEOS

__all__ = [
    "BUNDLE_ROLE",
    "FILES",
    "LARGEST_IMAGE_BYTES",
    "LARGEST_IMAGE_PIXELS",
    "MODELS",
    "WIDEST_RATIO",
    "Kind",
    "Media",
    "Model",
    "Parameter",
    "Variant",
]

#: The built-in models by name.
MODELS: Final[Mapping[str, Model]] = {
    model.name: model for model in (*FLUX_3_IMAGES, *FLUX_3_VIDEOS, *FLUX_2, *FLUX_1, *TOOLS)
}
