"""What a stack is started with, and the addresses and secrets it then has."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.servers.fluxrelay import ROLES


@dataclass(frozen=True)
class RealProvider:
    """The provider itself, in the sandbox's place.

    Attributes:
        url: Its API.
        public_url: Where it reaches our service.
        api_key: The account's key.
    """

    url: str
    public_url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class StackOptions:
    """How a stack is to be started.

    Attributes:
        directory: Where data and logs are kept; None for a temporary one, removed at the end.
        port: The service's port; None for a free one.
        provider: The real provider; None for the sandbox.
        webhooks: Whether the sandbox may call back; otherwise results are polled.
        workers: How many processes of each role.
        relay_variables: Added to the service's and the workers' environment; they win.
        sandbox_variables: Added to the sandbox's environment; they win.
        storage_folder: Where the S3 server keeps its data; None for a part of `directory`.
    """

    directory: Path | None = None
    port: int | None = None
    provider: RealProvider | None = None
    webhooks: bool = True
    workers: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(ROLES, 1))
    relay_variables: Mapping[str, str] = field(default_factory=dict)
    sandbox_variables: Mapping[str, str] = field(default_factory=dict)
    storage_folder: Path | None = None


@dataclass(frozen=True)
class Credentials:
    """The secrets of one start, all random."""

    api_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    provider_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    webhook_secret: str = field(default_factory=lambda: secrets.token_urlsafe(36), repr=False)
