"""What unit tests share."""

import pytest

from core.settings import SERVICE, Settings


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
