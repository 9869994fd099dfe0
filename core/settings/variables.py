"""Environment variables as fields of a dataclass: declared once, read with all problems at once."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from core import text_values

SERVICE: Final = "service"
WORKER: Final = "worker"
#: Processes that a variable may be for.
BOTH: Final = frozenset({SERVICE, WORKER})
REQUIRED: Final = object()
#: Names a worker's role; `worker.__main__` reads it.
ROLE_VARIABLE: Final = "FLUXRELAY_WORKER_ROLE"
_PREFIX: Final = "FLUXRELAY_"
#: How the other variables end that Kubernetes sets for a Service (`{NAME}_SERVICE_HOST` ...).
_OF_A_SERVICE: Final = re.compile(r"_SERVICE_(HOST|PORT\w*)$|_PORT$|_PORT_\d+_(TCP|UDP|SCTP)\w*$")
#: What Kubernetes (and Docker, with links) says of a Service named like us; never a port's number.
_INJECTED: Final = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


def declaration(
    name: str,
    parse: text_values.Parser,
    doc: str,
    default: object = REQUIRED,
    *,
    secret: bool = False,
    only: str | None = None,
) -> dict[str, Any]:
    """Declare one environment variable; `only` names the process that needs it."""
    by = frozenset({only}) if only else BOTH
    facts = {"name": name, "parse": parse, "doc": doc, "secret": secret, "by": by}
    return facts | {"default": default}


def variable(*facts: Any, **more: Any) -> Any:
    """Declare one environment variable as a field; takes what `declaration` takes."""
    return dataclasses.field(metadata=declaration(*facts, **more))


def read(
    variable: Mapping[str, Any], environ: Mapping[str, str], process: str, problems: list[str]
) -> Any:
    """Return one variable's value; what is wrong goes into `problems`."""
    if process not in variable["by"]:
        return None
    name = variable["name"]
    default = variable["default"]
    try:
        if variable["secret"]:
            text = _text(name, environ)
        else:
            text = "" if is_injected(name, environ) else environ.get(name, "").strip()
        if not text and default is None:
            return None
        if not text and default is REQUIRED:
            problems.append(f"{name}: is not set ({variable['doc']})")
            return None
        return variable["parse"](text or default)
    except text_values.ManyProblems as error:
        problems += [f"{name}: {problem}" for problem in error.problems]
        return None
    except ValueError as error:
        problems.append(f"{name}: {error} ({variable['doc']})")
        return None


def is_injected(name: str, environ: Mapping[str, str]) -> bool:
    """Say whether a variable is not ours, but Kubernetes': the address of a Service.

    Of a Service `x` it sets `X_PORT=tcp://…` and others that no setting of ours is called.
    """
    return name.endswith("_PORT") and bool(_INJECTED.fullmatch(environ.get(name, "").strip()))


def injected(environ: Mapping[str, str]) -> list[str]:
    """Return which variables under our names are Kubernetes', in order."""
    ours = (name for name in environ if name.startswith(_PREFIX))
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
        if name.startswith(_PREFIX) and name not in names and not _OF_A_SERVICE.search(name)
    )
    # Without what all begin with, or all would be alike.
    plain = {name.removeprefix(_PREFIX): name for name in sorted(names)}
    near = {name: get_close_matches(name.removeprefix(_PREFIX), plain, 1, 0.7) for name in found}
    return {name: plain[near[name][0]] if near[name] else "" for name in sorted(near)}


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
