"""All settings of both processes, read once from the environment; each variable is documented here.

`Settings.from_env` reports every problem at once. A secret may be given as `NAME_FILE` instead, a
path to a file that holds it. No secret and no outside bucket or server has a default.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core import parsing
from core.egress import Network
from core.errors import SettingsError
from core.parsing import Secret, SlotLimits

SERVICE: Final = "service"
WORKER: Final = "worker"
_BOTH: Final = frozenset({SERVICE, WORKER})
_REQUIRED: Final = object()


def _variable(
    name: str,
    parse: parsing.Parser,
    doc: str,
    default: object = _REQUIRED,
    *,
    secret: bool = False,
    only: str | None = None,
) -> Any:
    """Declare one environment variable as a field; `only` names the process that needs it."""
    needed_by = frozenset({only}) if only else _BOTH
    metadata = {"name": name, "parse": parse, "doc": doc, "secret": secret, "by": needed_by}
    metadata["default"] = default
    return dataclasses.field(metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Durations are seconds, sizes bytes."""

    # --- the provider
    bfl_api_key: Secret = _variable(
        "BFL_API_KEY", parsing.secret, "The provider's API key.", secret=True, only=WORKER
    )
    provider_url: str = _variable(
        "FLUXRELAY_PROVIDER_URL", parsing.base_url, "The provider's API.", "https://api.bfl.ai"
    )
    poll_urls: tuple[str, ...] = _variable(
        "FLUXRELAY_PROVIDER_POLL_URLS",
        parsing.base_urls,
        "More API hosts to ask for a result (tasks are regional), comma-separated.",
        "",
    )
    slots: SlotLimits = _variable(
        "FLUXRELAY_SLOTS",
        parsing.slot_limits,
        "Active tasks allowed on the account, then per model.",
        "24,flux-kontext-max=6",
    )
    public_url: str | None = _variable(
        "FLUXRELAY_PUBLIC_URL",
        parsing.base_url,
        "Where the provider reaches this service. Unset: results are polled, no webhook is used.",
        None,
    )
    result_hosts: tuple[str, ...] = _variable(
        "FLUXRELAY_RESULT_HOSTS",
        parsing.host_suffixes,
        "Hosts that results are fetched from; a leading dot admits all below it.",
        ".bfl.ai,.blob.core.windows.net",
    )
    # --- secrets of our own
    webhook_secrets: tuple[Secret, ...] = _variable(
        "FLUXRELAY_WEBHOOK_SECRET",
        parsing.master_secrets,
        "Master secret, 32 characters or more; while rotating: the new one, a comma, the old one.",
        secret=True,
    )
    api_keys: Mapping[str, str] = _variable(
        "FLUXRELAY_API_KEYS",
        parsing.api_keys,
        "Callers' keys as name:key, comma-separated; each name is a tenant and may have two keys.",
        secret=True,
        only=SERVICE,
    )
    # --- Redis and S3
    redis_url: Secret = _variable(
        "FLUXRELAY_REDIS_URL", parsing.redis_url, "redis:// or rediss:// URL.", secret=True
    )
    require_aof: bool = _variable(
        "FLUXRELAY_REQUIRE_AOF",
        parsing.boolean,
        "Refuse jobs unless Redis confirms each one on disk; 'no' accepts that jobs get lost.",
        "yes",
    )
    s3_bucket: str = _variable(
        "FLUXRELAY_S3_BUCKET", parsing.bucket, "The bucket that images are stored in."
    )
    s3_key_template: str = _variable(
        "FLUXRELAY_S3_KEY_TEMPLATE",
        parsing.key_template,
        "Where in the bucket: {job_id} (needed), {date}, {model}, {tenant}, {ext}.",
        "{date}/{job_id}.{ext}",
    )
    # --- HTTP
    host: str = _variable(
        "FLUXRELAY_HOST", parsing.text, "Address to listen on.", "127.0.0.1", only=SERVICE
    )
    port: int = _variable(
        "FLUXRELAY_PORT", parsing.port, "Port to listen on.", "8080", only=SERVICE
    )
    max_body_bytes: int = _variable(
        "FLUXRELAY_MAX_BODY_BYTES",
        parsing.positive_int,
        "Largest request body; the default has room for eight of the largest images as base64.",
        str(256 * 1024 * 1024),
        only=SERVICE,
    )
    large_bodies: int = _variable(
        "FLUXRELAY_LARGE_BODIES",
        parsing.positive_int,
        "Bodies over 64 KiB taken in at a time; the images of each lie in TMPDIR meanwhile.",
        "8",
        only=SERVICE,
    )
    callback_allow_nets: tuple[Network, ...] = _variable(
        "FLUXRELAY_CALLBACK_ALLOW_NETS",
        parsing.networks,
        "Networks (CIDR) that callbacks may go to although they are private.",
        "",
    )
    # --- how long things may take
    job_ttl_seconds: float = _variable(
        "FLUXRELAY_JOB_TTL_SECONDS", parsing.seconds, "How long ended jobs are kept.", "604800"
    )
    job_deadline_seconds: float = _variable(
        "FLUXRELAY_JOB_DEADLINE_SECONDS", parsing.seconds, "When a job times out.", "86400"
    )
    result_lifetime_seconds: float = _variable(
        "FLUXRELAY_RESULT_LIFETIME_SECONDS",
        parsing.seconds,
        "How long a result URL lives when it does not say so itself.",
        "600",
    )
    submit_in_doubt_seconds: float = _variable(
        "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS",
        parsing.seconds,
        "How long a submit without a known outcome waits for its webhook before it is repeated.",
        "300",
    )
    webhook_overdue_seconds: float = _variable(
        "FLUXRELAY_WEBHOOK_OVERDUE_SECONDS",
        parsing.seconds,
        "After this long without a webhook the result is polled.",
        "60",
    )
    poll_interval_seconds: float = _variable(
        "FLUXRELAY_POLL_INTERVAL_SECONDS", parsing.seconds, "First wait between polls.", "1"
    )
    retry_base_seconds: float = _variable(
        "FLUXRELAY_RETRY_BASE_SECONDS",
        parsing.seconds,
        "First wait before a step is tried again; doubles, with jitter.",
        "1",
    )
    retry_max_seconds: float = _variable(
        "FLUXRELAY_RETRY_MAX_SECONDS", parsing.seconds, "Longest such wait.", "30"
    )
    watch_seconds: float = _variable(
        "FLUXRELAY_WATCH_SECONDS",
        parsing.seconds,
        "Lease of a running step: without a sign of life for so long, sweep starts it again.",
        "30",
    )
    slot_lease_seconds: float = _variable(
        "FLUXRELAY_SLOT_LEASE_SECONDS",
        parsing.seconds,
        "How long a slot is held before sweep checks that its job still needs it.",
        "120",
    )
    sweep_interval_seconds: float = _variable(
        "FLUXRELAY_SWEEP_INTERVAL_SECONDS", parsing.seconds, "Pause between two sweeps.", "1"
    )
    pool_pause_seconds: float = _variable(
        "FLUXRELAY_POOL_PAUSE_SECONDS",
        parsing.seconds,
        "How long an account rests after the provider said 402, 403 or 429.",
        "15",
    )
    callback_timeout_seconds: float = _variable(
        "FLUXRELAY_CALLBACK_TIMEOUT_SECONDS",
        parsing.seconds,
        "How long a callback's receiver may take to answer.",
        "15",
    )
    callback_retry_base_seconds: float = _variable(
        "FLUXRELAY_CALLBACK_RETRY_BASE_SECONDS",
        parsing.seconds,
        "First wait before a callback is sent again; doubles, with jitter, up to an hour.",
        "5",
    )
    callback_give_up_seconds: float = _variable(
        "FLUXRELAY_CALLBACK_GIVE_UP_SECONDS",
        parsing.seconds,
        "After this long a callback that nobody took is a dead letter.",
        "86400",
    )
    provider_timeout_seconds: float = _variable(
        "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS",
        parsing.seconds,
        "How long the provider may take to answer one request.",
        "30",
    )
    download_timeout_seconds: float = _variable(
        "FLUXRELAY_DOWNLOAD_TIMEOUT_SECONDS",
        parsing.seconds,
        "How long one download of a result may take before it is begun anew.",
        "120",
    )
    # --- the worker process
    worker_concurrency: int = _variable(
        "FLUXRELAY_WORKER_CONCURRENCY",
        parsing.positive_int,
        "Tasks that one worker process runs at a time.",
        "16",
        only=WORKER,
    )

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str], process: str, problems: Sequence[str] = ()
    ) -> "Settings":
        """Read the settings that `process` (`service` or `worker`) needs.

        Args:
            environ: The environment.
            process: For whom.
            problems: What else was found wrong before.

        Raises:
            SettingsError: With all problems at once, none of which holds a secret's value.
        """
        found = list(problems)
        values: dict[str, Any] = {}
        for variable in dataclasses.fields(cls):
            values[variable.name] = _read(variable.metadata, environ, process, found)
        doubt, timeout = values["submit_in_doubt_seconds"], values["provider_timeout_seconds"]
        if doubt and timeout and doubt <= timeout:
            found.append(
                "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS: must be longer than "
                "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS, or a slow submit would be repeated"
            )
        watch, callback = values["watch_seconds"], values["callback_timeout_seconds"]
        if watch and callback and watch <= callback:
            found.append(
                "FLUXRELAY_WATCH_SECONDS: must be longer than FLUXRELAY_CALLBACK_TIMEOUT_SECONDS, "
                "or a slow receiver would be called twice at a time"
            )
        if found:
            raise SettingsError(found)
        return cls(**values)


def _read(
    variable: Mapping[str, Any], environ: Mapping[str, str], process: str, problems: list[str]
) -> Any:
    """Return one variable's value; what is wrong goes into `problems`."""
    if process not in variable["by"]:
        return None
    name = variable["name"]
    default = variable["default"]
    try:
        text = _text(name, environ) if variable["secret"] else environ.get(name, "").strip()
        if not text and default is None:
            return None
        if not text and default is _REQUIRED:
            problems.append(f"{name}: is not set ({variable['doc']})")
            return None
        return variable["parse"](text or default)
    except ValueError as error:
        problems.append(f"{name}: {error} ({variable['doc']})")
        return None


def _text(name: str, environ: Mapping[str, str]) -> str:
    """Return a secret from its variable or from the file that `NAME_FILE` names."""
    text, path = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "").strip()
    if text and path:
        raise ValueError(f"is set twice, as {name} and as {name}_FILE")
    if not path:
        return text
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{name}_FILE: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name}_FILE: is not a text file") from None
