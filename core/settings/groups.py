"""The settings by what they are about; `core.settings.settings.Settings` is all of them together.

Each group is a base class of `Settings`, in the order in which docs/operations.md lists them.
Durations are seconds, sizes bytes.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from core import text_values
from core.provider.accounts import Account
from core.provider.accounts import accounts as parse_accounts
from core.provider.catalogue import Model
from core.provider.models_file import read_models
from core.security.address_rules import Network
from core.settings.variables import SERVICE, WORKER, variable
from core.text_values import Secret, SlotLimits


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """The provider's API, its accounts, and the models that are offered."""

    bfl_api_key: Secret | None = variable(
        "BFL_API_KEY",
        text_values.secret,
        "The provider's API key; needed unless FLUXRELAY_ACCOUNTS names accounts.",
        None,
        secret=True,
        only=WORKER,
    )
    accounts: tuple[Account, ...] = variable(
        "FLUXRELAY_ACCOUNTS",
        parse_accounts,
        "Several accounts as a JSON array; see Accounts and regions.",
        None,
    )
    #: Account's name -> its API key; only in worker processes.
    account_keys: Mapping[str, Secret] = dataclasses.field(default_factory=dict)
    provider_url: str = variable(
        "FLUXRELAY_PROVIDER_URL", text_values.base_url, "The provider's API.", "https://api.bfl.ai"
    )
    poll_urls: tuple[str, ...] = variable(
        "FLUXRELAY_PROVIDER_POLL_URLS",
        text_values.base_urls,
        "More API hosts to ask for a result (tasks are regional), comma-separated.",
        "",
    )
    slots: SlotLimits = variable(
        "FLUXRELAY_SLOTS",
        text_values.slot_limits,
        "Active tasks allowed on the account, then per model.",
        "24,flux-kontext-max=6",
    )
    max_resubmits: int = variable(
        "FLUXRELAY_MAX_RESUBMITS",
        text_values.resubmits,
        "How often a job may be submitted again (0 to 3) though an earlier submit may be paid for.",
        "1",
    )
    public_url: str | None = variable(
        "FLUXRELAY_PUBLIC_URL",
        text_values.base_url,
        "Where the provider reaches this service. Unset: results are polled, no webhook is used.",
        None,
    )
    result_hosts: tuple[str, ...] = variable(
        "FLUXRELAY_RESULT_HOSTS",
        text_values.host_suffixes,
        "Hosts that results are fetched from; a leading dot admits all below it.",
        ".bfl.ai,.blob.core.windows.net",
    )
    added_models: Mapping[str, Model] = variable(
        "FLUXRELAY_MODELS_FILE",
        read_models,
        "JSON file of models that are added, or take the place of built-in ones.",
        "",
    )
    models: Mapping[str, Model] = variable(
        "FLUXRELAY_MODELS",
        text_values.model_names,
        "Models that callers may ask for, comma-separated. Unset: all that are known.",
        "",
        only=SERVICE,
    )


@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    """What comes in over HTTP, and where callbacks may go."""

    host: str = variable(
        "FLUXRELAY_HOST", text_values.text, "Address to listen on.", "127.0.0.1", only=SERVICE
    )
    port: int = variable(
        "FLUXRELAY_PORT", text_values.port, "Port to listen on.", "8080", only=SERVICE
    )
    max_body_bytes: int = variable(
        "FLUXRELAY_MAX_BODY_BYTES",
        text_values.positive_int,
        "Largest request body; the default has room for eight of the largest images as base64.",
        str(256 * 1024 * 1024),
        only=SERVICE,
    )
    large_bodies: int = variable(
        "FLUXRELAY_LARGE_BODIES",
        text_values.positive_int,
        "Bodies over 64 KiB taken in at a time; the images of each lie in TMPDIR meanwhile.",
        "8",
        only=SERVICE,
    )
    callback_allow_nets: tuple[Network, ...] = variable(
        "FLUXRELAY_CALLBACK_ALLOW_NETS",
        text_values.networks,
        "Networks (CIDR) that callbacks may go to although they are private, by address or by a "
        "local name.",
        "",
    )
    proxy: Secret | None = variable(
        "FLUXRELAY_PROXY",
        text_values.proxy,
        "URL of a proxy to the provider and its results, or 'environment'; see Proxies.",
        None,
        secret=True,
        only=WORKER,
    )
    callback_proxy: Secret | None = variable(
        "FLUXRELAY_CALLBACK_PROXY",
        text_values.proxy,
        "The same for callbacks; the proxy must then keep them out of private networks.",
        None,
        secret=True,
        only=WORKER,
    )
    max_backlog: int | None = variable(
        "FLUXRELAY_MAX_BACKLOG", text_values.positive_int, "So many jobs may wait; then 429.", None
    )
    trusted_proxies: tuple[Network, ...] = variable(
        "FLUXRELAY_TRUSTED_PROXIES", text_values.networks, "Proxies to believe (CIDR).", ""
    )
    max_connections: int | None = variable(
        "FLUXRELAY_MAX_CONNECTIONS",
        text_values.positive_int,
        "Client connections at a time. Unset: 10000, or what the limit of open files leaves.",
        None,
        only=SERVICE,
    )
    keepalive_seconds: int = variable(
        "FLUXRELAY_KEEPALIVE_SECONDS",
        text_values.positive_int,
        "How long an idle connection is kept; longer than the proxy in front keeps it.",
        "75",
        only=SERVICE,
    )
    head_seconds: float = variable(
        "FLUXRELAY_HEAD_SECONDS",
        text_values.seconds,
        "How long the head of a request may take to come.",
        "10",
        only=SERVICE,
    )
    body_seconds: float = variable(
        "FLUXRELAY_BODY_SECONDS",
        text_values.seconds,
        "How long a small body, or each 64 KiB of a larger one, may take to come.",
        "60",
        only=SERVICE,
    )
    drain_seconds: float = variable(
        "FLUXRELAY_DRAIN_SECONDS",
        text_values.seconds_or_none,
        "How long the service goes on once it was told to stop and says it is not ready.",
        "5",
        only=SERVICE,
    )
    service_grace_seconds: int = variable(
        "FLUXRELAY_SERVICE_GRACE_SECONDS",
        text_values.positive_int,
        "How long requests under way may then take to end.",
        "5",
        only=SERVICE,
    )


@dataclass(frozen=True, kw_only=True)
class Durations:
    """How long things may take, in seconds."""

    job_ttl_seconds: float = variable(
        "FLUXRELAY_JOB_TTL_SECONDS", text_values.seconds, "How long ended jobs are kept.", "604800"
    )
    job_deadline_seconds: float = variable(
        "FLUXRELAY_JOB_DEADLINE_SECONDS", text_values.seconds, "When a job times out.", "86400"
    )
    result_lifetime_seconds: float = variable(
        "FLUXRELAY_RESULT_LIFETIME_SECONDS",
        text_values.seconds,
        "How long a result URL lives when it does not say so itself.",
        "600",
    )
    submit_in_doubt_seconds: float = variable(
        "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS",
        text_values.seconds,
        "How long a submit without a known outcome waits for its webhook before it is repeated.",
        "300",
    )
    max_retry_after_seconds: float = variable(
        "FLUXRELAY_MAX_RETRY_AFTER_SECONDS",
        text_values.seconds,
        "For how long the provider's Retry-After may stop an account at most.",
        "300",
    )
    webhook_overdue_seconds: float = variable(
        "FLUXRELAY_WEBHOOK_OVERDUE_SECONDS",
        text_values.seconds,
        "After this long without a webhook the result is polled.",
        "60",
    )
    poll_interval_seconds: float = variable(
        "FLUXRELAY_POLL_INTERVAL_SECONDS", text_values.seconds, "First wait between polls.", "1"
    )
    retry_base_seconds: float = variable(
        "FLUXRELAY_RETRY_BASE_SECONDS",
        text_values.seconds,
        "First wait before a step is tried again; doubles, with jitter.",
        "1",
    )
    retry_max_seconds: float = variable(
        "FLUXRELAY_RETRY_MAX_SECONDS", text_values.seconds, "Longest such wait.", "30"
    )
    watch_seconds: float = variable(
        "FLUXRELAY_WATCH_SECONDS",
        text_values.seconds,
        "Lease of a running step: without a sign of life for so long, sweep starts it again.",
        "30",
    )
    slot_lease_seconds: float = variable(
        "FLUXRELAY_SLOT_LEASE_SECONDS",
        text_values.seconds,
        "How long a slot is held before sweep checks that its job still needs it.",
        "120",
    )
    sweep_interval_seconds: float = variable(
        "FLUXRELAY_SWEEP_INTERVAL_SECONDS", text_values.seconds, "Pause between two sweeps.", "1"
    )
    credits_interval_seconds: float = variable(
        "FLUXRELAY_CREDITS_INTERVAL_SECONDS",
        text_values.seconds,
        "How often each account's credits are asked for.",
        "60",
    )
    pool_pause_seconds: float = variable(
        "FLUXRELAY_POOL_PAUSE_SECONDS",
        text_values.seconds,
        "How long an account rests after the provider said 402, 403 or 429.",
        "15",
    )
    callback_timeout_seconds: float = variable(
        "FLUXRELAY_CALLBACK_TIMEOUT_SECONDS",
        text_values.seconds,
        "How long a callback's receiver may take to answer.",
        "15",
    )
    callback_retry_base_seconds: float = variable(
        "FLUXRELAY_CALLBACK_RETRY_BASE_SECONDS",
        text_values.seconds,
        "First wait before a callback is sent again; doubles, with jitter, up to an hour.",
        "5",
    )
    callback_give_up_seconds: float = variable(
        "FLUXRELAY_CALLBACK_GIVE_UP_SECONDS",
        text_values.seconds,
        "After this long a callback that nobody took is a dead letter.",
        "86400",
    )
    provider_timeout_seconds: float = variable(
        "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS",
        text_values.seconds,
        "How long the provider may take to answer one request.",
        "30",
    )
    download_timeout_seconds: float = variable(
        "FLUXRELAY_DOWNLOAD_TIMEOUT_SECONDS",
        text_values.seconds,
        "How long one download of a result may take before it is begun anew.",
        "120",
    )
    storage_timeout_seconds: float = variable(
        "FLUXRELAY_STORAGE_TIMEOUT_SECONDS",
        text_values.seconds,
        "How long S3 may stay silent before a request counts as failed.",
        "15",
    )
