"""All settings of both processes, read once from the environment.

Each field is a variable: `port` is FLUXRELAY_PORT unless an alias says otherwise, the text below a
field is its row in docs/operations.md. Durations are seconds, sizes bytes. No secret and no outside
bucket or server has a default.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from core.errors import SettingsError
from core.settings.cross_field import CrossFieldRules, Trial
from core.settings.environment import problems_of
from core.settings.field_types import (
    SERVICE,
    WORKER,
    Accounts,
    AddedModels,
    ApiKey,
    BaseUrl,
    BaseUrls,
    Boolean,
    Bucket,
    CallersKeys,
    Confidential,
    HostSuffixes,
    IndexedKeys,
    KeyTemplate,
    MasterSecrets,
    Networks,
    OfferedModels,
    Port,
    PositiveInt,
    ProxyUrl,
    RedisUrl,
    Resubmits,
    Seconds,
    SecondsOrNone,
    ServiceOnly,
    SlotLimits,
    WholeSeconds,
    WorkerOnly,
    as_written,
)
from core.text_values import Secret

__all__ = ["SERVICE", "WORKER", "Settings"]


class Settings(CrossFieldRules):
    """Everything that can be set."""

    # --- the provider's API, its accounts, and the models that are offered
    bfl_api_key: WorkerOnly[Confidential[ApiKey | None]] = Field(
        None, validation_alias="BFL_API_KEY"
    )
    """The provider's API key; needed unless FLUXRELAY_ACCOUNTS names accounts."""
    provider_url: BaseUrl = "https://api.bfl.ai"
    """The provider's API."""
    poll_urls: BaseUrls = as_written("", validation_alias="FLUXRELAY_PROVIDER_POLL_URLS")
    """More API hosts to ask for a result (tasks are regional), comma-separated."""
    added_models: AddedModels = as_written("", validation_alias="FLUXRELAY_MODELS_FILE")
    """JSON file of models that are added, or take the place of built-in ones."""
    slots: SlotLimits = as_written("24,flux-kontext-max=6")
    """Active tasks allowed on the account, then per model; others have their known limits."""
    accounts: Accounts = as_written(None)
    """Several accounts as a JSON array; see Accounts and regions."""
    #: Account's name -> its API key; only in worker processes.
    account_keys: Mapping[str, Secret] = Field(validation_alias="account_keys")
    max_resubmits: Resubmits = as_written("1")
    """How often a job may be submitted again (0 to 3) though an earlier submit may be paid for."""
    public_url: BaseUrl | None = None
    """Where the provider reaches this service. Unset: results are polled, no webhook is used."""
    result_hosts: HostSuffixes = as_written(".bfl.ai,.blob.core.windows.net")
    """Hosts that results are fetched from; a leading dot admits all below it."""
    models: ServiceOnly[OfferedModels] = as_written("")
    """Models that callers may ask for, comma-separated. Unset: all that are known."""

    # --- what comes in over HTTP, and where callbacks may go
    host: ServiceOnly[str] = "127.0.0.1"
    """Address to listen on."""
    port: ServiceOnly[Port] = 8080
    """Port to listen on."""
    max_body_bytes: ServiceOnly[PositiveInt] = 288 * 1024 * 1024
    """Largest request body; the default has room for ten of the largest images as base64."""
    large_bodies: ServiceOnly[PositiveInt] = 8
    """Bodies over 64 KiB taken in at a time, at most half of them of one tenant; files lie in
    TMPDIR."""
    max_batch_bytes: ServiceOnly[PositiveInt] = 256 * 1024 * 1024
    """Largest body of a batch, and most bytes of its items' files."""
    max_batch_items: ServiceOnly[PositiveInt] = 10_000
    """Most items of a batch."""
    callback_allow_nets: Networks = as_written("")
    """Networks (CIDR) that callbacks may go to although they are private, by address or by a local
    name."""
    proxy: WorkerOnly[Confidential[ProxyUrl | None]] = None
    """URL of a proxy to the provider and its results, or 'environment'; see Proxies."""
    callback_proxy: WorkerOnly[Confidential[ProxyUrl | None]] = None
    """The same for callbacks; the proxy must then keep them out of private networks."""
    indexed_metadata: IndexedKeys = as_written("")
    """Keys of metadata by whose values jobs can be listed, comma-separated, 8 at most."""
    max_backlog: PositiveInt | None = None
    """So many jobs may wait; then 429."""
    trusted_proxies: Networks = as_written("")
    """Proxies to believe (CIDR)."""
    max_connections: ServiceOnly[PositiveInt | None] = None
    """Client connections at a time. Unset: 10000, or what the limit of open files leaves; the soft
    limit is raised to the hard one (`ulimit -Hn`)."""
    max_waiters: ServiceOnly[PositiveInt] = 5000
    """Requests at a time that wait for a job or receive events; at most half of the connections, so
    5000 take a limit of 10576 open files."""
    max_event_streams: ServiceOnly[PositiveInt] = 100
    """Streams of all of its jobs (`GET /v1/events`) that a tenant may have at a time."""
    keepalive_seconds: ServiceOnly[WholeSeconds] = 75
    """How long an idle connection is kept; longer than the proxy in front keeps it."""
    head_seconds: ServiceOnly[Seconds] = 10
    """How long the head of a request may take to come."""
    body_seconds: ServiceOnly[Seconds] = 60
    """How long a small body, or each 64 KiB of a larger one, may take to come."""
    drain_seconds: ServiceOnly[SecondsOrNone] = 5
    """How long the service goes on once it was told to stop and says it is not ready."""
    service_grace_seconds: ServiceOnly[WholeSeconds] = 5
    """How long requests under way may then take to end."""

    # --- how long things may take
    job_ttl_seconds: Seconds = 604800
    """How long ended jobs are kept."""
    job_deadline_seconds: Seconds = 86400
    """When a job times out, if its model has no deadline of its own."""
    result_lifetime_seconds: Seconds = 600
    """How long a result URL lives when neither it nor its model says so."""
    provider_timeout_seconds: Seconds = 30
    """How long the provider may take to answer one request."""
    submit_in_doubt_seconds: Seconds = 300
    """How long a submit without a known outcome waits for its webhook before it is repeated."""
    max_retry_after_seconds: Seconds = 300
    """For how long the provider's Retry-After may stop an account at most."""
    webhook_overdue_seconds: Seconds = 60
    """After this long without a webhook the result is polled."""
    poll_interval_seconds: Seconds = 1
    """First wait between polls, if its model has none of its own."""
    retry_base_seconds: Seconds = 1
    """First wait before a step is tried again; doubles, with jitter."""
    retry_max_seconds: Seconds = 30
    """Longest such wait."""
    callback_timeout_seconds: Seconds = 15
    """How long a callback's receiver may take to answer."""
    watch_seconds: Seconds = 30
    """Lease of a running step: without a sign of life for so long, sweep starts it again."""
    slot_lease_seconds: Seconds = 120
    """How long a slot is held before sweep checks that its job still needs it."""
    sweep_interval_seconds: Seconds = 1
    """Pause between two sweeps."""
    credits_interval_seconds: Seconds = 60
    """How often each account's credits are asked for."""
    pool_pause_seconds: Seconds = 15
    """How long an account rests after the provider said 402, 403 or 429."""
    callback_retry_base_seconds: Seconds = 5
    """First wait before a callback is sent again; doubles, with jitter, up to an hour."""
    callback_give_up_seconds: Seconds = 86400
    """After this long the last attempt at a callback is made; failing, it is a dead letter."""
    download_timeout_seconds: Seconds = 120
    """Time limit of a download, after which it starts anew; a large file has a second per MiB."""
    storage_timeout_seconds: Seconds = 15
    """How long S3 may stay silent before a request counts as failed."""

    # --- secrets of our own
    webhook_secrets: Confidential[MasterSecrets] = Field(
        validation_alias="FLUXRELAY_WEBHOOK_SECRET"
    )
    """Master secret, 32 characters or more; while rotating: the new one, a comma, the old one."""
    api_keys: ServiceOnly[Confidential[CallersKeys]]
    """Callers' keys as name:key, comma-separated; each name is a tenant and may have several."""

    # --- Redis and S3
    redis_url: Confidential[RedisUrl]
    """redis:// or rediss:// URL."""
    require_aof: Boolean = as_written("yes")
    """Refuse jobs unless Redis confirms each one on disk; 'no' accepts that jobs get lost."""
    s3_bucket: Bucket
    """The bucket that results are stored in."""
    s3_key_template: KeyTemplate = "{date}/{job_id}.{ext}"
    """Where in the bucket: {job_id} (needed), {date}, {model}, {tenant}, {role}, {ext}."""

    presign: ServiceOnly[Boolean] = as_written("yes")
    """Lead callers to results by presigned URLs of the bucket; 'no': the service sends the
    files."""
    s3_public_endpoint: ServiceOnly[BaseUrl | None] = None
    """Where callers reach S3, if not where we do; presigned URLs begin with it."""

    # --- the worker process
    worker_concurrency: WorkerOnly[PositiveInt] = 16
    """Tasks that one worker process runs at a time."""
    worker_grace_seconds: WorkerOnly[Seconds] = 25
    """How long running tasks may take to end once a worker is told to stop; then it leaves."""

    #: The last field: its validation tries all the others, and so finds problems beside theirs.
    trial: Trial = Field(validation_alias="trial", repr=False)

    def deadline_seconds(self, model: str) -> float:
        """Return the seconds after which a job of a model times out."""
        known = self.models.get(model)
        return (known and known.deadline_seconds) or self.job_deadline_seconds

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all variables, of both processes."""
        aliases = (str(field.validation_alias) for field in cls.model_fields.values())
        return [alias for alias in aliases if alias.isupper()]

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str],
        process: str,
        problems: Sequence[str] = (),
        trial: Trial = lambda _: (),
    ) -> "Settings":
        """Read the settings that `process` (`service` or `worker`) needs.

        Args:
            environ: The environment.
            process: For whom.
            problems: What else was found wrong before.
            trial: Tries the values by what will use them (`core.operations.startup_checks`).

        Raises:
            SettingsError: With all problems at once, none of which holds a secret's value.
        """
        given: dict[str, Any] = {"environ": environ, "process": process, "trial": trial}
        try:
            settings = cls(**given)
        except ValidationError as error:
            raise SettingsError([*problems, *problems_of(error, cls)]) from None
        if problems:
            raise SettingsError(problems)
        return settings
