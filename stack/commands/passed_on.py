"""Which settings in the caller's environment `up` passes on to the service and the workers."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PREFIX: Final = "FLUXRELAY_"
_PREFIXES: Final = (_PREFIX, "BFL_API_KEY_FILE")
#: Read by the client and the command line, in the same shell.
_OF_THE_CLIENT: Final = ("URL", "KEY", "CALLBACK_SECRET", "MODEL", "PROFILE", "CONFIG")
#: Read by the command itself.
_OF_THE_COMMAND: Final = ("PORT", "PUBLIC_URL")
_OF_OTHERS: Final = frozenset(f"{_PREFIX}{name}" for name in _OF_THE_CLIENT + _OF_THE_COMMAND)
#: Networks that callbacks may go to besides those of the caller: receivers on this machine.
_LOOPBACK: Final = "127.0.0.0/8"
_NETWORKS: Final = "FLUXRELAY_CALLBACK_ALLOW_NETS"
#: Keys of metadata by which jobs can be listed, unless the caller chooses others.
_METADATA: Final = {"FLUXRELAY_INDEXED_METADATA": "order,customer"}
_BY_ITSELF: Final[Mapping[str, str]] = {
    "BFL_API_KEY": "only BFL_API_KEY itself is read",
    "FLUXRELAY_ACCOUNTS": "it has one account",
    "FLUXRELAY_API_KEYS": "it has a key of its own",
    "FLUXRELAY_HOST": "it listens on this machine only",
    "FLUXRELAY_REDIS_URL": "it starts its own Valkey",
    "FLUXRELAY_S3_BUCKET": "it starts its own S3 server",
    "FLUXRELAY_WEBHOOK_SECRET": "it has a secret of its own",
    "FLUXRELAY_WORKER_ROLE": "it starts a worker for each role",
}
_OF_THE_PROVIDER: Final = frozenset(
    f"{_PREFIX}{name}" for name in ("PROVIDER_URL", "PROVIDER_POLL_URLS", "PROXY", "RESULT_HOSTS")
)


@dataclass(frozen=True)
class PassedOn:
    """The settings of the caller's environment.

    Attributes:
        variables: Environment of the service and the workers.
        notices: What a person is told: which are passed on, and which are not and why.
    """

    variables: Mapping[str, str]
    notices: tuple[str, ...]


def passed_on(environment: Mapping[str, str], *, sandbox: bool, folder: Path) -> PassedOn:
    """Choose what is passed on.

    Args:
        environment: The caller's environment.
        sandbox: Whether the sandbox takes the place of the provider.
        folder: The project's folder.
    """
    settings = {
        name: value
        for name, value in sorted(environment.items())
        if value and name.startswith(_PREFIXES) and name not in _OF_OTHERS
    }
    reasons = {name: _reason(name, sandbox=sandbox) for name in settings}
    given = {name: value for name, value in settings.items() if not reasons[name]}
    ignored = [f"{name} ({reason})" for name, reason in reasons.items() if reason]
    notices = []
    if given:
        notices.append(f"Passed on to the service and the workers: {', '.join(given)}.")
    if ignored:
        notices.append(f"Ignored: {', '.join(ignored)}.")
    if (folder / ".env").exists():
        notices.append("Ignored: .env, which is for containers. Export what is to be passed on.")
    if _NETWORKS in given:
        given[_NETWORKS] = f"{_LOOPBACK},{given[_NETWORKS]}"
    return PassedOn({**_METADATA, **given}, tuple(notices))


def _reason(name: str, *, sandbox: bool) -> str:
    """Return why a variable is not passed on, or an empty text."""
    name = name.removesuffix("_FILE")
    if name in _OF_THE_PROVIDER:
        return "the sandbox takes the provider's place" if sandbox else ""
    return _BY_ITSELF.get(name, "")


def unknown_settings(log: str) -> Iterator[str]:
    """Yield a line for each variable that the service found to be no setting.

    Args:
        log: What it has logged.
    """
    for line in log.splitlines():
        if '"settings.unknown"' in line:
            event = json.loads(line)
            yield f"{event['variable']}: {event['reason']}"
