"""Paths of server programs that come inside Python packages."""

from importlib.metadata import distribution
from pathlib import Path


def packaged_program(package: str, name: str) -> Path:
    """Return the path of a program inside an installed package.

    Raises:
        PackageNotFoundError: The package is not installed.
        FileNotFoundError: The package holds no such program.
    """
    for file in distribution(package).files or ():
        if file.name == name:
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError(f"the package {package} holds no program {name}")
