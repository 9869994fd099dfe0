"""Variables under our prefix that are no settings: Kubernetes' own, and misspelt ones."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

#: Names a worker's role; `worker.__main__` reads it.
ROLE_VARIABLE: Final = "FLUXRELAY_WORKER_ROLE"
PREFIX: Final = "FLUXRELAY_"
#: How the other variables end that Kubernetes sets for a Service (`{NAME}_SERVICE_HOST` ...).
_OF_A_SERVICE: Final = re.compile(r"_SERVICE_(HOST|PORT\w*)$|_PORT$|_PORT_\d+_(TCP|UDP|SCTP)\w*$")
#: What Kubernetes (and Docker, with links) says of a Service named like us; never a port's number.
_INJECTED: Final = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


def is_injected(name: str, environ: Mapping[str, str]) -> bool:
    """Say whether a variable is not ours, but Kubernetes': the address of a Service.

    Of a Service `x` it sets `X_PORT=tcp://…` and others that no setting of ours is called.
    """
    return name.endswith("_PORT") and bool(_INJECTED.fullmatch(environ[name].strip()))


def injected(environ: Mapping[str, str]) -> list[str]:
    """Return which variables under our names are Kubernetes', in order."""
    ours = (name for name in environ if name.startswith(PREFIX))
    return sorted(name for name in ours if is_injected(name, environ))


def unknown(environ: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    """Return the variables under our prefix that name no setting, each with the nearest name.

    Args:
        environ: The environment.
        known: The names of all settings.
    """
    names = {*known, ROLE_VARIABLE}
    names |= {f"{name}_FILE" for name in names}
    found = (
        name
        for name in environ
        if name.startswith(PREFIX) and name not in names and not _OF_A_SERVICE.search(name)
    )
    # Without what all begin with, or all would be alike.
    plain = {name.removeprefix(PREFIX): name for name in sorted(names)}
    near = {name: get_close_matches(name.removeprefix(PREFIX), plain, 1, 0.7) for name in found}
    return {name: plain[near[name][0]] if near[name] else "" for name in sorted(near)}
