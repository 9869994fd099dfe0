"""Settings without servers behind them, and pictures."""

import base64
import io
import os
from collections.abc import Callable

import pytest
from PIL import Image

from core.settings.settings import SERVICE, Settings


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Return the service's settings; nothing listens where they lead."""
    environ = {
        "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
        "FLUXRELAY_API_KEYS": "demo:api-key-of-a-test-0001",
        "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0",
        "FLUXRELAY_S3_BUCKET": "pictures",
        "FLUXRELAY_CALLBACK_ALLOW_NETS": "10.9.0.0/16",
    }
    return Settings.from_env(environ, SERVICE)


@pytest.fixture(scope="session")
def encoded() -> Callable[..., str]:
    """Return a function that draws a picture, in a format and a size, as base64."""

    def draw(kind: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB") -> str:
        file = io.BytesIO()
        Image.new(mode, size).save(file, kind)
        return base64.b64encode(file.getvalue()).decode()

    return draw


@pytest.fixture(scope="session")
def plain_settings() -> Settings:
    """Return the service's settings with every default."""
    environ = {
        "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
        "FLUXRELAY_API_KEYS": "demo:api-key-of-a-test-0001",
        "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0",
        "FLUXRELAY_S3_BUCKET": "pictures",
    }
    return Settings.from_env(environ, SERVICE)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave of what libraries read in the environment nothing but AWS keys: no proxy, no file."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SSL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
