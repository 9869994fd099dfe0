"""The options of a stack, and its addresses and secrets."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.servers.fluxrelay import ROLES


@dataclass(frozen=True)
class Credentials:
    """The secrets of one stack, all random unless they are kept from an earlier run."""

    api_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    provider_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    webhook_secret: str = field(default_factory=lambda: secrets.token_urlsafe(36), repr=False)
    redis_password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    s3_access_key: str = field(
        default_factory=lambda: f"AK{secrets.token_hex(9).upper()}", repr=False
    )
    s3_secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)


@dataclass(frozen=True)
class RealProvider:
    """The real provider, used instead of the sandbox.

    Attributes:
        url: The URL of its API.
        public_url: The public URL of our service.
        api_key: The account's key.
    """

    url: str
    public_url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class StackOptions:
    """The options of a stack.

    Attributes:
        directory: Folder for data and logs; None: a temporary one, removed at the end.
        port: The service's port; None: a free one.
        provider: The real provider; None: the sandbox.
        webhooks: Whether the sandbox may call back; otherwise results are polled.
        workers: Number of processes per role.
        relay_variables: Environment of the service and the workers, overriding the defaults.
        sandbox_variables: Environment of the sandbox, overriding the defaults.
        storage_folder: Folder for the S3 server's data; None: inside `directory`.
        credentials: Its secrets.
        ports: Ports to take if they are free, by what listens on them.
    """

    directory: Path | None = None
    port: int | None = None
    provider: RealProvider | None = None
    webhooks: bool = True
    workers: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 1))
    relay_variables: Mapping[str, str] = field(default_factory=dict)
    sandbox_variables: Mapping[str, str] = field(default_factory=dict)
    storage_folder: Path | None = None
    credentials: Credentials = field(default_factory=Credentials)
    ports: Mapping[str, int] = field(default_factory=dict)
