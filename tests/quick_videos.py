"""Videos for tests: asked about as soon as they may be ready, and small where that is enough."""

import json
from pathlib import Path
from typing import Final

from core.provider.catalogue import MODELS, Media

#: The models that make videos.
VIDEOS: Final = [name for name, model in MODELS.items() if model.media is Media.VIDEO]
#: For the sandbox: frames of a twentieth of each side are enough to be read.
SMALL: Final = {"SANDBOX_VIDEO_SCALE": "0.05"}


def often_polled(directory: Path) -> dict[str, str]:
    """Return variables with which the service and the workers poll a video after 0.2 s.

    Args:
        directory: Where the models file is written.
    """
    path = directory / "models.json"
    often = {"first_poll_seconds": 0.2, "poll_seconds": 0.2}
    models = [{"name": name, "like": name, **often} for name in VIDEOS]
    path.write_text(json.dumps({"models": models}))
    return {"FLUXRELAY_MODELS_FILE": str(path)}
