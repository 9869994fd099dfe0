"""All settings of both processes, read once from the environment; each variable is documented here.

`Settings.from_env` reports every problem at once. A secret may be given as `NAME_FILE` instead, a
path to a file that holds it. No secret and no outside bucket or server has a default.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import text_values
from core.errors import SettingsError
from core.settings.cross_field import settle
from core.settings.groups import Durations, HttpSettings, ProviderSettings
from core.settings.variables import SERVICE, WORKER, read, variable
from core.text_values import Secret

__all__ = ["SERVICE", "WORKER", "Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Durations, HttpSettings, ProviderSettings):
    """Everything that can be set: the groups of `core.settings.groups`, and what follows here."""

    # --- secrets of our own
    webhook_secrets: tuple[Secret, ...] = variable(
        "FLUXRELAY_WEBHOOK_SECRET",
        text_values.master_secrets,
        "Master secret, 32 characters or more; while rotating: the new one, a comma, the old one.",
        secret=True,
    )
    api_keys: Mapping[str, str] = variable(
        "FLUXRELAY_API_KEYS",
        text_values.api_keys,
        "Callers' keys as name:key, comma-separated; each name is a tenant and may have two keys.",
        secret=True,
        only=SERVICE,
    )
    # --- Redis and S3
    redis_url: Secret = variable(
        "FLUXRELAY_REDIS_URL", text_values.redis_url, "redis:// or rediss:// URL.", secret=True
    )
    require_aof: bool = variable(
        "FLUXRELAY_REQUIRE_AOF",
        text_values.boolean,
        "Refuse jobs unless Redis confirms each one on disk; 'no' accepts that jobs get lost.",
        "yes",
    )
    s3_bucket: str = variable(
        "FLUXRELAY_S3_BUCKET", text_values.bucket, "The bucket that images are stored in."
    )
    s3_key_template: str = variable(
        "FLUXRELAY_S3_KEY_TEMPLATE",
        text_values.key_template,
        "Where in the bucket: {job_id} (needed), {date}, {model}, {tenant}, {ext}.",
        "{date}/{job_id}.{ext}",
    )
    # --- the worker process
    worker_concurrency: int = variable(
        "FLUXRELAY_WORKER_CONCURRENCY",
        text_values.positive_int,
        "Tasks that one worker process runs at a time.",
        "16",
        only=WORKER,
    )
    worker_grace_seconds: float = variable(
        "FLUXRELAY_WORKER_GRACE_SECONDS",
        text_values.seconds,
        "How long running tasks may take to end once a worker is told to stop; then it leaves.",
        "25",
        only=WORKER,
    )

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all variables, of both processes."""
        return [field.metadata["name"] for field in dataclasses.fields(cls) if field.metadata]

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str],
        process: str,
        problems: Sequence[str] = (),
        trial: Callable[[Mapping[str, Any]], Sequence[str]] = lambda _: (),
    ) -> "Settings":
        """Read the settings that `process` (`service` or `worker`) needs.

        Args:
            environ: The environment.
            process: For whom.
            problems: What else was found wrong before.
            trial: Tries the values by what will use them (`core.operations.startup_checks`);
            returns problems.

        Raises:
            SettingsError: With all problems at once, none of which holds a secret's value.
        """
        found = list(problems)
        values: dict[str, Any] = {}
        for declared in dataclasses.fields(cls):
            if declared.metadata:
                values[declared.name] = read(declared.metadata, environ, process, found)
        settle(values, environ, process, found)
        found += trial(values)
        if found:
            raise SettingsError(found)
        return cls(**values)
