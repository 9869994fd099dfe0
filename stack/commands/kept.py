"""What `up` keeps in its folder for the next run: its secrets, and its ports if they are free.

So keys, links and addresses of yesterday go on working, as the jobs do.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from stack.options import Credentials

_FILE: Final = "secrets.json"


class UnreadableSecretsError(Exception):
    """The file with the secrets of earlier runs cannot be read, or is damaged."""


@dataclass(frozen=True)
class Kept:
    """What is kept from one run to the next.

    Attributes:
        credentials: The secrets.
        ports: The ports, by what listens on them.
    """

    credentials: Credentials
    ports: Mapping[str, int]


def read_kept(directory: Path) -> Kept:
    """Return what earlier runs have kept in a folder; new secrets, if there was none.

    Raises:
        UnreadableSecretsError: The file is there, but not as it was written.
    """
    path = directory / _FILE
    try:
        told = json.loads(path.read_bytes())
        names = asdict(Credentials()).keys()
        secrets = {name: str(told["credentials"][name]) for name in names & told["credentials"]}
        return Kept(Credentials(**secrets), {name: int(at) for name, at in told["ports"].items()})
    except FileNotFoundError:
        return Kept(Credentials(), {})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{path} cannot be read. Delete it, and the next start makes new keys."
        raise UnreadableSecretsError(reason) from error


def keep(directory: Path, kept: Kept) -> None:
    """Write what is kept, whole or not at all, for the owner alone to read."""
    text = json.dumps({"credentials": asdict(kept.credentials), "ports": dict(kept.ports)})
    new = directory / f"{_FILE}.new"
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(directory / _FILE)
