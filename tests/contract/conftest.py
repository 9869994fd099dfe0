"""What tests at the edges share: scripted servers, pictures, jobs."""

import io
import ssl
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from core.job import JobRequest
from core.settings import Settings
from tests.contract.scripted import ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Run a scripted server."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="session")
def ssl_context() -> ssl.SSLContext:
    """Make a TLS context once, for making one is slow."""
    return ssl.create_default_context()


@pytest.fixture(scope="session")
def picture() -> Callable[[str], bytes]:
    """Return a function that draws a picture of 320 x 200 pixels in a format of Pillow's."""

    def draw(kind: str) -> bytes:
        file = io.BytesIO()
        Image.effect_noise((320, 200), 80).convert("RGB").save(file, kind)
        return file.getvalue()

    return draw


@pytest.fixture
def request_for(worker_settings: Settings) -> Callable[..., JobRequest]:
    """Return a function that makes a request, of which anything may be set."""

    def make(**fields: object) -> JobRequest:
        usual: dict[str, object] = {
            "tenant": "demo",
            "model": "flux-pro-1.1",
            "input": {"prompt": "a lighthouse"},
            "created_at": 1_700_000_000.0,
            "deadline_at": 1_700_000_000.0 + worker_settings.job_deadline_seconds,
        }
        return JobRequest(**(usual | fields))  # type: ignore[arg-type]  # a test's own keywords

    return make
