"""What processes cost: CPU seconds and memory, as the kernel counts them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the user and system seconds of each process so far, ended children included."""
    return {name: sum(psutil.Process(pid).cpu_times()[:4]) for name, pid in pids.items()}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds between two readings."""
    return {name: after[name] - before[name] for name in before}


def proportional_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes and their children, shared pages counted in parts (PSS)."""
    total = 0
    for pid in pids:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            try:
                total += int(process.memory_full_info().pss)
            except psutil.NoSuchProcess:  # a fork that ended meanwhile
                continue
    return total


def forget_peak(pid: int) -> None:
    """Begin a new count of a process's largest resident memory (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def peak_bytes(pid: int) -> int:
    """Return a process's largest resident memory since it began, or since `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"process {pid} has no peak")
