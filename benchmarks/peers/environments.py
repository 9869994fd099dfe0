"""Installs each peer, at a stated version, into a virtual environment of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Final

#: Name of an environment -> what is installed into it.
PINS: Final = {
    "polling": ("httpx==0.28.1",),
    "blackforest": ("blackforest==0.1.3", "requests==2.34.2"),
    "litellm": ("litellm==1.83.14",),
    "py-spy": ("py-spy==0.4.3",),
}
_SECONDS: Final = 240


class NotInstalledError(ValueError):
    """A peer could not be installed; holds what the installer said last."""


def python_of(name: str, folder: Path) -> Path:
    """Return the interpreter of a peer's environment, which is made where it is missing.

    Raises:
        NotInstalledError: The installer failed.
    """
    home = folder / name
    stamp = home / "-".join(("installed", *PINS[name])).replace("=", "-")
    if not stamp.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(home / "bin/python"), "-m", "pip", "install", "--quiet", *PINS[name]])
        stamp.touch()
    return home / "bin/python"


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        raise NotInstalledError(f"{command}: {error.stderr[-500:]}") from error
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError(f"{command} took longer than {_SECONDS} s") from error
