"""Reads one environment variable; what is wrong with it goes into a list."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from core.parsing import ManyProblems

#: The default of a variable that has none.
REQUIRED: Final = object()


def read_variable(
    variable: Mapping[str, Any], environ: Mapping[str, str], process: str, problems: list[str]
) -> Any:
    """Return one variable's value; what is wrong goes into `problems`.

    Args:
        variable: Its name, parser, meaning and default, as `core.settings` declares them.
        environ: The environment.
        process: Who reads it; None is the value of what this process does not need.
        problems: Where complaints are put; none holds a secret.
    """
    if process not in variable["by"]:
        return None
    name = variable["name"]
    default = variable["default"]
    try:
        text = _text(name, environ) if variable["secret"] else environ.get(name, "").strip()
        if not text and default is None:
            return None
        if not text and default is REQUIRED:
            problems.append(f"{name}: is not set ({variable['doc']})")
            return None
        return variable["parse"](text or default)
    except ManyProblems as error:
        problems += [f"{name}: {problem}" for problem in error.problems]
        return None
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
