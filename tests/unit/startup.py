"""What the tests of the start share: settings that are good, and what is said of others."""

from collections.abc import Mapping
from typing import Final

from core.errors import SettingsError
from core.operations import startup_checks
from core.settings.settings import WORKER, Settings
from worker.runtime.startup_checks import check_settings

PASSWORD: Final = "hunter2"
GOOD: Final = {
    "BFL_API_KEY": "provider-key-of-a-test",
    "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
    "FLUXRELAY_API_KEYS": "demo:api-key-of-a-test-0001",
    "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0",
    "FLUXRELAY_S3_BUCKET": "pictures",
}


def problems(variables: Mapping[str, str], process: str = WORKER) -> list[str]:
    """Return what is said of settings, which must not hold the password."""
    trial = check_settings if process == WORKER else startup_checks.check_settings
    found: list[str] = []
    try:
        Settings.from_env({**GOOD, **variables}, process, trial=trial)
    except SettingsError as error:
        found += error.problems
    assert PASSWORD not in "".join(found)
    return found
