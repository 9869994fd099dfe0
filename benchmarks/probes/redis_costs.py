"""What a stretch of work costs the Redis server: commands, round trips, CPU."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import redis


@dataclass
class Costs:
    """Counts of one stretch.

    Attributes:
        seconds: How long it took.
        commands: Calls by command, those inside scripts included.
        reads: How often the server read from a socket: its side of a round trip.
        cpu: Seconds of its main thread.
    """

    seconds: float = 0.0
    commands: Counter[str] = field(default_factory=Counter)
    reads: float = 0.0
    cpu: float = 0.0

    def less(self, idle: "Costs") -> "Costs":
        """Return it without what goes on anyway, by the seconds it took."""
        share = self.seconds / idle.seconds
        names = self.commands.keys()
        left = {name: max(0.0, self.commands[name] - idle.commands[name] * share) for name in names}
        return Costs(
            self.seconds,
            Counter(left),
            max(0.0, self.reads - idle.reads * share),
            max(0.0, self.cpu - idle.cpu * share),
        )


@contextmanager
def counted(client: "redis.Redis") -> Iterator[Costs]:
    """Count what the body costs; the result is filled in at its end."""
    costs, before, began = Costs(), _read(client), time.monotonic()
    yield costs
    after = _read(client)
    costs.seconds = time.monotonic() - began
    costs.commands = after[0] - before[0]
    costs.reads, costs.cpu = after[1] - before[1], after[2] - before[2]


def _read(client: "redis.Redis") -> tuple[Counter[str], float, float]:
    stats: dict[str, Any] = client.info("everything")
    calls = {
        name.removeprefix("cmdstat_").partition("|")[0]: int(value["calls"])
        for name, value in stats.items()
        if name.startswith("cmdstat_")
    }
    used = float(stats["used_cpu_user_main_thread"]) + float(stats["used_cpu_sys_main_thread"])
    return Counter(calls), float(stats["total_reads_processed"]), used
